"""What is traded besides probabilities: files that belong to the bars, and brackets chosen before the test."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from backtest_cases import backtest, noise
from csvs import part, store_months

from botscalp.archive.klines import parse_funding
from botscalp.archive.writing import Part, write_month
from botscalp.backtest import Backtest, Bracket, Candidates, PredictedBars
from botscalp.backtest.selection import MIN_TRADES, best_bracket
from botscalp.backtest.settings import BY_WINDOW
from botscalp.data.manifest import FUNDING, Series, month_span_ns
from botscalp.errors import UserError
from botscalp.pipeline.market import Market
from botscalp.pipeline.trading import chosen_brackets
from botscalp.types import Bars, Float64, Int64

CANDIDATES = {"threshold": (0.52, 0.56, 0.6), "stop_atr": (1.0, 2.0), "target_atr": (1.0, 3.0)}


@dataclass(frozen=True, kw_only=True)
class Scores:
    open_time_ns: Int64
    symbol: Int64
    window: Int64
    p: Float64


def scores_of(predicted: PredictedBars, rows: slice, window: int) -> Scores:
    n = len(predicted.bars[rows])
    return Scores(
        open_time_ns=predicted.bars.open_time_ns[rows],
        symbol=np.zeros(n, np.int64),
        window=np.full(n, window),
        p=np.asarray(predicted.p[rows], float),
    )


def joined(*parts: Scores) -> Scores:
    return Scores(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Scores.__dataclass_fields__}
    )


def candidates(**values: tuple[float, ...]) -> Candidates:
    return Candidates(**dict.fromkeys(BY_WINDOW) | values)


def selecting(**changed: object) -> Backtest:
    return backtest(select="validation", candidates=candidates(**CANDIDATES), **changed)


def test_the_best_bracket_is_the_one_that_earned_most() -> None:
    """Each candidate run on its own, the slow way."""
    rules, market = selecting(taker_bps=0.0), noise(seed=2, days=20)
    earned: dict[tuple[float, ...], float] = {}
    for threshold in CANDIDATES["threshold"]:
        for stop in CANDIDATES["stop_atr"]:
            for target in CANDIDATES["target_atr"]:
                result = replace(rules, threshold=threshold, stop_atr=stop, target_atr=target).run([market])
                earned[threshold, stop, target] = float(result.records["pnl_quote"].sum())
    best = best_bracket(rules, [market])
    assert (best.threshold, best.stop_atr, best.target_atr) == max(earned, key=lambda key: earned[key])
    assert best.max_hold == rules.max_hold


def test_a_candidate_that_hardly_trades_is_none() -> None:
    """At 0.95 nothing trades, which would be best wherever trading loses."""
    rules, market = selecting(taker_bps=50.0), noise(seed=2, days=20)
    rules = replace(rules, candidates=candidates(threshold=(0.6, 0.95)))
    assert best_bracket(rules, [market]).threshold == 0.6
    rules = replace(rules, candidates=candidates(threshold=(0.95, 0.97)))
    assert best_bracket(rules, [market]) == rules.bracket
    assert MIN_TRADES > 1


def test_brackets_are_chosen_on_validation_alone() -> None:
    """Two windows: other bars after the first's last validation score change the second's bracket and not the first's."""
    market, other = noise(seed=5, days=40).bars, noise(seed=6, days=40).bars
    first, second = slice(500, 3_000), slice(5_000, 9_000)
    validation = joined(*(scores_of(noise(seed=5, days=40), rows, at) for at, rows in enumerate((first, second))))
    rules = selecting(taker_bps=0.0, maker_bps=0.0, slippage_bps=0.0)

    def chosen(bars: Bars) -> list[Bracket]:
        brackets = chosen_brackets(Market.load((bars,), rules), rules, validation, 2)
        assert brackets is not None
        return brackets

    whole = chosen(market)
    prices = ("open", "high", "low", "close")
    for end, changes in ((first.stop, True), (second.stop, False)):
        later = {name: np.concatenate([getattr(market, name)[:end], getattr(other, name)[end:]]) for name in prices}
        brackets = chosen(replace(market, **later))
        assert brackets[0] == whole[0]
        assert (brackets[1] != whole[1]) == changes
    assert chosen(market[: second.stop]) == whole


def test_nothing_is_chosen_unless_asked() -> None:
    market = noise(seed=3, days=3)
    scores = scores_of(market, slice(100, 500), 0)
    assert chosen_brackets(Market.load((market.bars,), backtest()), backtest(), scores, 1) is None


def bars_file(folder: Path, bars: Bars, name: str) -> str:
    columns = {column: values for column, values in bars.columns() if column != "open_time_ns"}
    table = pd.DataFrame({"open_time": pd.to_datetime(bars.open_time_ns, utc=True), **columns})
    table.to_parquet(folder / name)
    return str(folder / name)


def minutes(bars: Bars) -> Bars:
    """Five one-minute bars in each, of which the third goes to the high and the fourth to the low."""
    times_ns = (bars.open_time_ns[:, None] + np.arange(5) * (bars.interval_ns // 5)).ravel()
    open_, close = np.repeat(bars.open, 5), np.repeat(bars.close, 5)
    third, fourth = (np.arange(len(times_ns)) % 5 == step for step in (2, 3))
    high = np.where(third, np.repeat(bars.high, 5), np.maximum(open_, close))
    low = np.where(fourth, np.repeat(bars.low, 5), np.minimum(open_, close))
    return Bars(
        symbol=bars.symbol,
        interval_ns=bars.interval_ns // 5,
        open_time_ns=times_ns,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=close,
    )


@pytest.mark.filterwarnings("default")  # pandas about pyarrow
def test_files_of_finer_bars_and_funding_change_the_trades(tmp_path: Path) -> None:
    bars = noise(seed=4, days=10).bars
    finer = bars_file(tmp_path, minutes(bars), "finer-BTCUSDT.parquet").replace("BTCUSDT", "{symbol}")
    times = pd.date_range("2024-01-01", "2024-01-10", freq="8h", tz="UTC")
    pd.DataFrame({"funding_time": times, "funding_rate": 0.001}).to_csv(tmp_path / "funding.csv", index=False)
    tight = {"threshold": 0.51, "stop_atr": 0.5, "target_atr": 0.5}
    plain = backtest(**tight)
    rich = replace(plain, finer=finer, funding=str(tmp_path / "funding.csv"))
    scores = scores_of(noise(seed=4, days=10), slice(100, len(bars)), 0)
    span_ns = (int(bars.open_time_ns[0]), int(bars.open_time_ns[-1]) + 1)
    results = {}
    for rules in (plain, rich):
        market = Market.load((bars,), rules).predicted(scores, span_ns, np.zeros(1, np.int64))
        results[rules.finer] = rules.run(market)
    targets = {name: (result.trades.reason == "target").sum() for name, result in results.items()}
    assert targets[finer] > targets[None]  # longs that touched both had their target first
    assert (results[None].records["funding_quote"] == 0).all()
    assert (results[finer].records["funding_quote"] != 0).any()


@pytest.mark.parametrize("key", ["finer", "funding"])
def test_one_file_for_several_symbols_is_refused(key: str) -> None:
    bars = noise(seed=4, days=2).bars
    with pytest.raises(UserError, match="is one file for 2 symbols") as refused:
        Market.load((bars, replace(bars, symbol="ETHUSDT")), backtest(**{key: "BTCUSDT.parquet"}))
    assert refused.value.key == f"backtest.{key}"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"finer": "{folder}/same.parquet"}, "5m bars do not lie inside 5m bars"),
        ({"finer": "{folder}/nothing.parquet"}, "no such file"),
        ({"finer": "{folder}/old_minutes.parquet"}, "holds nothing within the bars"),
        ({"funding": "{folder}/empty.csv"}, "holds no rows"),
        ({"funding": "{folder}/nothing.csv"}, "no such file"),
        ({"funding": "{folder}/old.csv"}, "holds nothing within the bars"),
    ],
)
def test_files_that_do_not_belong_are_refused_by_key(tmp_path: Path, changed: dict[str, str], problem: str) -> None:
    bars = noise(seed=4, days=2).bars
    bars_file(tmp_path, bars, "same.parquet")
    times = pd.date_range("2020-01-01", periods=3, freq="8h", tz="UTC")
    pd.DataFrame({"funding_time": times, "funding_rate": 0.001}).to_csv(tmp_path / "old.csv", index=False)
    pd.DataFrame({"funding_time": [], "funding_rate": []}).to_csv(tmp_path / "empty.csv", index=False)
    bars_file(
        tmp_path,
        replace(minutes(bars), open_time_ns=minutes(bars).open_time_ns - 400 * 86_400 * 10**9),
        "old_minutes.parquet",
    )
    (key, value), *_ = changed.items()
    with pytest.raises(UserError, match=problem) as refused:
        Market.load((bars,), backtest(**{key: value.format(folder=tmp_path)}))
    assert refused.value.key == f"backtest.{key}"


def store_funding(store: Path, *months: str) -> str:
    """Rates of whole months, every eight hours; the pattern that reads them."""
    series = Series(market="um", symbol="BTCUSDT", interval=FUNDING)
    for month in months:
        start_ns, end_ns = month_span_ns(month)
        times_ms = range(start_ns // 10**6, end_ns // 10**6, 8 * 3_600_000)
        lines = "".join(f"{time_ms},8,0.00010000\n" for time_ms in times_ms)
        name = f"BTCUSDT-fundingRate-{month}.zip"
        rows = parse_funding(lines.encode(), name=name, start_ns=start_ns, end_ns=end_ns)
        source = replace(part("BTCUSDT-5m-2024-01-01.zip").source, name=name)
        whole = Part(source=source, parsed=rows, start_ns=start_ns, end_ns=end_ns)
        write_month(store, series, month, [whole], complete=True)
    return str(store / "um/{symbol}/funding")


def test_a_month_of_funding_that_nobody_fetched_is_refused(tmp_path: Path) -> None:
    """Before, its trades paid nothing, without a word."""
    bars = noise(seed=4, days=80).bars  # from 2024-01-01
    rules = backtest(funding=store_funding(tmp_path, "2024-01", "2024-03"))
    with pytest.raises(UserError, match="has nothing from 2024-02-01 00:00:00 UTC to 2024-03-01") as caught:
        Market.load((bars,), rules)
    assert caught.value.key == "backtest.funding"
    assert "kind=funding start=2024-02 end=2024-02 market=um" in caught.value.remedy
    assert Market.load((bars[: 20 * 288],), rules).funding[0] is not None  # the hole is not in these bars
    store_funding(tmp_path, "2024-02")
    assert Market.load((bars,), rules).funding[0] is not None


def test_a_day_of_finer_bars_that_nobody_fetched_is_refused(tmp_path: Path) -> None:
    series = Series(market="um", symbol="BTCUSDT", interval="1m")
    bars, rules = noise(seed=4, days=4).bars, backtest(finer=str(tmp_path / "um/{symbol}/1m"))
    for day in ("01", "03"):
        one = part(f"BTCUSDT-1m-2024-01-{day}.zip", interval="1m")
        write_month(tmp_path, series, "2024-01", [one], complete=False)
    with pytest.raises(UserError, match="has nothing from 2024-01-02 00:00:00 UTC to 2024-01-03") as caught:
        Market.load((bars,), rules)
    assert caught.value.key == "backtest.finer" and "interval=1m start=2024-01 end=2024-01" in caught.value.remedy
    store_months(tmp_path, "2024-01", series=series)
    assert Market.load((bars,), rules).finer[0] is not None
