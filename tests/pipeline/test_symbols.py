"""Several symbols, by one model or one each: windows go by time, nothing leaks between them, and each has its figures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import Run, bits, composed, quiet_libraries, walk

from botscalp.errors import UserError
from botscalp.pipeline.kept_model import KeptModel, model_folders, model_of
from botscalp.pipeline.panel import Panel, build_panel
from botscalp.pipeline.window import FittedWindow, fit_window, parts
from botscalp.training.settings import TrainerSettings
from botscalp.types import Bars
from botscalp.windows import Window

SYMBOLS = ("BTCUSDT", "ETHUSDT")
TWO = f"data.symbols=[{','.join(SYMBOLS)}]"
POOLED, TOLD_APART, EACH = (), ("trainer.symbol_features=true",), ("trainer.model_per=symbol",)
WAYS = pytest.mark.parametrize("way", [POOLED, TOLD_APART, EACH], ids=["pooled", "told-apart", "each"])
EXPERIMENT = composed(TWO, "wfo.windows=1", "data.end=2023-02-08", "wfo.train=1w", "trainer.epochs=1")
TIME = pd.Timestamp("2023-02-09T11:20", tz="UTC")
"""inside the first test, and so inside the second window's validation"""


def trainer(*words: str) -> TrainerSettings:
    return replace(
        EXPERIMENT.trainer,
        **{name: getattr(composed(*words).trainer, name) for name in ("model_per", "symbol_features")},
    )


def panel_of(bars: tuple[Bars, ...]) -> Panel:
    return build_panel(bars, features=EXPERIMENT.features, label=EXPERIMENT.label, seed=0)


def windows_of(panel: Panel) -> tuple[Window, ...]:
    purge_ns = EXPERIMENT.label.span_bars * panel.interval_ns
    return EXPERIMENT.wfo.between(*panel.span_ns, interval_ns=panel.interval_ns, purge_ns=purge_ns)


def fitted(panel: Panel, window: Window, how: TrainerSettings) -> FittedWindow:
    with quiet_libraries():
        return fit_window(
            panel,
            window,
            model=EXPERIMENT.model,
            lags=EXPERIMENT.features.lags,
            trainer=how,
            device="cpu",
            calibration=EXPERIMENT.calibration,
            seed=0,
            on_epoch=lambda epoch, metrics: None,
        )


def repriced(table: pd.DataFrame) -> pd.DataFrame:
    """Every bar after TIME at other prices and volumes."""
    late = table["open_time"] > TIME
    rng = np.random.default_rng(2)
    prices, volumes = ["open", "high", "low", "close"], ["volume", "taker_buy_volume", "quote_volume"]
    table.loc[late, prices] = table.loc[late, prices].mul(rng.uniform(0.9, 1.1, late.sum()), axis=0)
    table.loc[late, volumes] = table.loc[late, volumes].mul(rng.uniform(0, 9, late.sum()), axis=0)
    return table


def walk_on(pattern: Path, folder: Path, *words: str) -> Run:
    return walk(folder, "data=file", f"data.path='{pattern}'", TWO, "wfo.train=1w", "trainer.epochs=1", *words)


@pytest.fixture(scope="module")
def market() -> Panel:
    return panel_of(EXPERIMENT.data.load())


@WAYS
def test_bars_of_one_symbol_change_no_earlier_prediction_of_any(
    way: tuple[str, ...], make_bars_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Once more with the bars of one symbol changed from a time on, and once with the other's."""
    original = walk_on(make_bars_file("{symbol}.parquet", symbols=SYMBOLS), tmp_path / "original", *way).predictions
    for changed in SYMBOLS:
        pattern = make_bars_file(f"{changed}-{{symbol}}.parquet", symbols=SYMBOLS)
        path = str(pattern).replace("{symbol}", changed)
        with quiet_libraries():
            repriced(pd.read_parquet(path)).to_parquet(path)
        again = walk_on(pattern, tmp_path / changed, *way).predictions
        for symbol in SYMBOLS:
            mine, its = (table[table["symbol"] == symbol] for table in (original, again))
            before = (mine["open_time"] <= TIME).to_numpy()
            assert before.sum() > 500 and mine["open_time"].tolist() == its["open_time"].tolist()
            assert bits(mine[before][["p_raw", "p"]]) == bits(its[before][["p_raw", "p"]])
            first = ((mine["open_time"] > TIME) & (mine["window"] == 0)).to_numpy()
            untouched = bits(mine[first]["p"]) == bits(its[first]["p"])
            assert untouched == (symbol != changed), "bars of one symbol are no features of another's, at any time"
            # The next window's validation holds changed bars: a pooled model's, and a symbol's own if they are its own.
            second = (mine["window"] == 1).to_numpy()
            assert (bits(mine[second]["p"]) != bits(its[second]["p"])) == (symbol == changed or way != EACH)


def test_rows_of_every_symbol_end_before_the_purge(market: Panel) -> None:
    (window,) = windows_of(market)
    span_ns = EXPERIMENT.label.span_bars * market.interval_ns
    for part in [*parts(market, trainer(*EACH)), market]:
        for earlier, later in (("train", "stopping"), ("stopping", "calibration"), ("calibration", "test")):
            rows = part.labelled_rows(getattr(window, earlier))
            for position in range(len(part.bars)):
                last_ns = part.open_time_ns[rows[part.symbol_N[rows] == position]].max() + market.interval_ns
                assert last_ns + span_ns <= getattr(window, later).start_ns, "labels are known before the next begins"


def test_a_symbol_s_own_model_is_what_that_symbol_alone_gives(market: Panel) -> None:
    (window,) = windows_of(market)
    both = fitted(market, window, trainer(*EACH))
    alone = [fitted(panel_of((bars,)), window, trainer(*POOLED)) for bars in market.bars]
    assert [model.symbols for model in both.models] == [("BTCUSDT",), ("ETHUSDT",)]
    for position, fit in enumerate(alone):
        (model,) = fit.models
        assert model.scaler.as_dict() == both.models[position].scaler.as_dict()
        assert model.calibrator == both.models[position].calibrator
        for name in ("train", "calibration", "test"):
            whole, mine = getattr(both, name), getattr(fit, name)
            here = whole.symbol == position
            assert all(
                bits(getattr(whole, key)[here]) == bits(getattr(mine, key)) for key in ("open_time_ns", "p_raw", "p")
            )
    pooled = fitted(market, window, trainer(*POOLED))
    assert both.n_train == pooled.n_train and both.n_validation == pooled.n_validation
    assert both.base_rate == pytest.approx(pooled.base_rate)
    assert bits(both.test.open_time_ns) == bits(pooled.test.open_time_ns)
    assert bits(both.test.symbol) == bits(pooled.test.symbol) and bits(both.test.p_raw) != bits(pooled.test.p_raw)


def test_a_model_is_told_which_symbol_a_row_is_of(market: Panel) -> None:
    """One symbol's labels are the other's reversed: nobody ranks both who cannot tell them apart."""
    (window,) = windows_of(market)
    bars = replace(market.bars[0], symbol="ETHUSDT")
    twins = panel_of((market.bars[0], bars))
    second = twins.symbol_N == 1
    panel = replace(twins, label_N=np.where(second, 1 - twins.label_N, twins.label_N).astype(np.float32))
    for way, told in ((POOLED, False), (TOLD_APART, True)):
        fit = fitted(panel, window, replace(trainer(*way), epochs=8, patience=8))
        p_raw = np.split(fit.test.p_raw, 2)
        assert (bits(p_raw[0]) != bits(p_raw[1])) == told
        inputs = panel.x_NF.shape[1] + 2 * told
        assert any(weight.shape[-1] == inputs for weight in fit.models[0].weights.values() if weight.ndim == 2)


@WAYS
def test_kept_models_predict_each_symbol_again(way: tuple[str, ...], tmp_path: Path) -> None:
    run = walk(tmp_path / "run", TWO, "wfo.windows=1", *way)
    models = [KeptModel.read(place) for place in model_folders(run.folder / "models" / "0")]
    assert len(models) == (2 if way == EACH else 1)
    for bars in composed(TWO).data.load():
        open_time_ns, p_raw, p = model_of(bars.symbol, models).forecast(bars)
        rows = run.predictions[run.predictions["symbol"] == bars.symbol]
        here = np.isin(open_time_ns, rows["open_time"].astype("datetime64[ns, UTC]").astype("int64"))
        assert bits(p_raw[here]) == bits(rows["p_raw"]) and bits(p[here]) == bits(rows["p"])
    if way == POOLED:
        assert model_of("XRPUSDT", models).forecast(replace(bars, symbol="XRPUSDT"))[2].tolist() == p.tolist()
    else:
        with pytest.raises(UserError, match=r"data\.symbols=XRPUSDT"):
            model_of("XRPUSDT", models).forecast(replace(bars, symbol="XRPUSDT"))


@WAYS
def test_finished_windows_are_taken_again(way: tuple[str, ...], tmp_path: Path) -> None:
    first, again = (walk(tmp_path / name, TWO, "wfo.windows=1", "resume=true", *way) for name in ("first", "again"))
    assert bits(first.predictions["p"]) == bits(again.predictions["p"])
    assert first.summary["windows"][0]["fit_s"] == again.summary["windows"][0]["fit_s"], "the time it took then"


def test_the_symbols_figures_are_parts_of_the_account_s(tmp_path: Path) -> None:
    run = walk(tmp_path / "run", TWO, *EACH)
    labelled, trades, backtest = run.predictions.dropna(subset="label"), run.table("trades"), run.summary["backtest"]
    symbols = {one["symbol"]: one for one in run.summary["symbols"]}
    assert tuple(symbols) == SYMBOLS
    assert sum(one["n"] for one in symbols.values()) == run.summary["metrics"]["n"]
    assert sum(one["trades"] for one in symbols.values()) == backtest["trades"]
    assert sum(one["net_pnl"] for one in symbols.values()) == pytest.approx(backtest["net_pnl"])
    losses = sum(one["n"] * one["log_loss"]["value"] for one in symbols.values())
    assert losses / run.summary["metrics"]["n"] == pytest.approx(run.summary["metrics"]["log_loss"])
    for symbol, one in symbols.items():
        mine, its = labelled[labelled["symbol"] == symbol], trades[trades["symbol"] == symbol]
        assert one["n"] == len(mine) and one["trades"] == len(its)
        up, down = mine[mine["label"] == 1.0]["p"].to_numpy(), mine[mine["label"] == 0.0]["p"].to_numpy()
        assert one["auc"]["value"] == pytest.approx(np.mean(up[:, None] > down) + np.mean(up[:, None] == down) / 2)
        bps = its["pnl_quote"] / (its["size_base"] * its["entry_price"]) * 1e4
        assert one["mean_net_bps"]["value"] == pytest.approx(bps.mean())
        for name in ("auc", "log_loss", "brier_skill", "mean_net_bps"):
            assert one[name]["low"] < one[name]["value"] < one[name]["high"]


def test_of_one_symbol_they_are_the_run_s(tmp_path: Path) -> None:
    summary = walk(tmp_path / "run").summary
    (one,) = summary["symbols"]
    for name, group in {"auc": "test", "log_loss": "test", "brier_skill": "test", "mean_net_bps": "backtest"}.items():
        low, high = summary["intervals"][group][name]
        value = summary["backtest" if group == "backtest" else "metrics"][name]
        assert one[name] == pytest.approx({"value": value, "low": low, "high": high})
    assert one["net_pnl"] == pytest.approx(summary["backtest"]["net_pnl"])


def test_a_symbol_without_both_directions_is_refused_where_it_has_a_model_of_its_own(
    make_bars_file: Callable[..., Path], tmp_path: Path
) -> None:
    pattern = make_bars_file("{symbol}.parquet", symbols=SYMBOLS)
    path = str(pattern).replace("{symbol}", "ETHUSDT")
    table = pd.read_parquet(path)
    rising = 1000 * 1.0001 ** np.arange(len(table))
    with quiet_libraries():
        table.assign(open=rising, low=rising, close=rising * 1.00005, high=rising * 1.00005).to_parquet(path)
    walk_on(pattern, tmp_path / "pooled")
    with pytest.raises(UserError, match="both directions"):
        walk_on(pattern, tmp_path / "each", *EACH)


@pytest.mark.slow
@WAYS
def test_real_bars_of_three_symbols(way: tuple[str, ...], real_data: Path, tmp_path: Path) -> None:
    words = (f"data.path='{real_data}/binance-spot-{{symbol}}-5m.parquet'", "data.symbols=[BTCUSDT,ETHUSDT,SOLUSDT]")
    span = ("data.start=2024-01-01", "data.end=2024-02-20", "backtest.threshold=0.52")
    run = walk(tmp_path / "run", "data=file", *words, *span, *way)
    symbols = run.summary["symbols"]
    assert [one["symbol"] for one in symbols] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert all(one["n"] > 3_000 and 0.4 < one["auc"]["value"] < 0.6 for one in symbols)
    assert sum(one["net_pnl"] for one in symbols) == pytest.approx(run.summary["backtest"]["net_pnl"])
    counts = run.predictions.groupby(["window", "open_time"])["symbol"].nunique()
    assert (counts == 3).mean() > 0.99, "windows are the same times of all"
