"""Settings, tables, several symbols, and the market traded otherwise."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_cases import backtest, noise, predicted_bars
from omegaconf import OmegaConf
from pydantic import TypeAdapter, ValidationError

from botscalp.backtest import Backtest, Candidates, Funding, buy_and_hold, size_table, summarize
from botscalp.backtest.settings import BY_WINDOW
from botscalp.backtest.sweep import PLAIN
from botscalp.errors import UserError
from botscalp.options import trust

CONF = Path(__file__).resolve().parents[2] / "conf" / "backtest"
NONE: dict[str, Any] = dict.fromkeys(BY_WINDOW)
QUIET = (100, 101, 99, 100)


def option(name: str) -> dict[str, Any]:
    values: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    assert values.pop("_target_") == "botscalp.backtest.Backtest"
    return dict(values)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"notional": None}, "backtest.notional"),
        ({"notional": 1000.0, "contract": 0.001}, "backtest.notional"),
        ({"slippage_bps": None}, "backtest.slippage_bps"),
        ({"slippage_bps": 1.0, "slippage_ticks": 1.0, "tick": 0.1}, "backtest.slippage_bps"),
        ({"slippage_ticks": 1.0}, "backtest.tick"),
        ({"round_prices": True}, "backtest.tick"),
        ({"through_ticks": 1.0}, "backtest.tick"),
        ({"contract": 1.0, "equity_fraction": 0.1}, "backtest.contract"),
        ({"kelly_fraction": 0.5}, "backtest.max_exposure"),
        ({"select": "validation", "candidates": Candidates(**dict.fromkeys(BY_WINDOW))}, "backtest.candidates"),
    ],
)
def test_settings_that_contradict_each_other_name_their_key(changed: dict[str, float | None], key: str) -> None:
    with pytest.raises(UserError) as refused:
        backtest(**changed)
    assert refused.value.key == key


@pytest.mark.parametrize(
    "wrong",
    [
        *({"threshold": 0.4}, {"threshold": 1.0}, {"max_hold": 0}, {"taker_bps": -1.0}, {"taker_bps": np.inf}),
        *({"spread_bps": 20_000.0}, {"slippage_bps": 10_000.0}, {"max_hold": 10**8}, {"cooldown_bars": 10**8}),
        *({"latency_bars": 10**19}, {"notional": np.inf}, {"capital": np.nan}),
        *(
            {"candidates": NONE | changed}
            for changed in ({"taker_bps": (1.0,)}, {"threshold": (0.4,)}, {"stop_atr": ()})
        ),
        {"candidates": NONE | {"max_hold": (2.5,)}},
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Backtest).validate_python(option("default") | wrong)


def test_settings_are_read_without_the_heavy_libraries() -> None:
    loaded = "import sys, botscalp.backtest; print(sorted({'torch', 'mlflow', 'numba', 'pandas'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_tables_have_their_columns_even_when_empty() -> None:
    result = backtest().run([predicted_bars([QUIET] * 3, [0.5] * 3, 1.0)])
    assert result.trades.empty
    assert list(result.trades) == [
        *("symbol", "window", "side", "signal_time", "entry_time", "exit_time", "entry_price", "exit_price"),
        *("size_base", "reason", "gross_quote", "slippage_quote", "fees_quote", "funding_quote", "pnl_quote"),
    ]
    assert list(result.equity) == ["close_time", "equity_quote"]
    assert str(result.trades.entry_time.dtype) == str(result.equity.close_time.dtype) == "datetime64[ns, UTC]"
    assert result.equity.equity_quote.tolist() == [10_000.0] * 3


def test_a_trade_s_bps_are_of_its_entry_notional() -> None:
    """Long 1,000 at 100, out by time at 102: 200 bps before fees, which are 5 bps of 1,000 and of 1,020."""
    rows = [QUIET, QUIET, (102, 103, 101, 102)]
    result = backtest(max_hold=1, slippage_bps=0.0).run([predicted_bars(rows, [0.9, 0.5, 0.5], 9.0)])
    assert result.gross_bps == pytest.approx([200.0])
    assert result.net_bps == pytest.approx([200 - 5 - 5.1])


def test_the_summary_s_means_are_those_of_the_trades() -> None:
    """Sizes that differ tell a mean of ratios from a ratio of means."""
    result = backtest(equity_fraction=0.5).run([noise(seed=6, days=5)])
    assert len(result.net_bps) == len(result.records) > 50
    assert result.summary.mean_net_bps == pytest.approx(result.net_bps.mean(), rel=1e-12)
    assert result.summary.mean_gross_bps == pytest.approx(result.gross_bps.mean(), rel=1e-12)


def test_a_trade_belongs_to_the_window_of_its_entry() -> None:
    """The first signal is window 4's last bar, so its trade enters in 5, as does the second."""
    p = [0.9, np.nan, np.nan, 0.9, np.nan]
    result = backtest(max_hold=2).run([predicted_bars([QUIET] * 5, p, 9.0, window=[4, 5, 5, 5, 5])])
    assert result.trades.window.tolist() == [5, 5]


def test_symbols_share_one_account() -> None:
    """Equity is capital plus the PnL of both at each close of either; the second symbol starts later, with a gap."""
    first = predicted_bars([QUIET, (100, 101, 99, 100), (100, 101, 99, 100.5)], [0.9, np.nan, np.nan], 9.0)
    rows = [(50, 51, 49, 50), (50, 51, 49, 49.5), (50, 51, 49, 50)]
    second = predicted_bars(rows, [0.1, np.nan, np.nan], 9.0, numbers=[1, 2, 4], symbol="ETHUSDT")
    rules = backtest(contract=1.0, slippage_bps=0.0, taker_bps=0.0)
    result = rules.run([first, second])
    assert result.trades.symbol.tolist() == ["BTCUSDT", "ETHUSDT"]
    assert result.trades.side.tolist() == [1, -1]
    assert len(result.equity) == 4  # bars 0, 1, 2 and 4
    assert result.equity_quote == pytest.approx([10_000, 10_000, 10_001, 10_000.5])
    swapped = rules.run([second, first])
    assert (swapped.equity_quote == result.equity_quote).all()
    pd.testing.assert_frame_equal(swapped.trades, result.trades)


def test_float32_probabilities_meet_the_threshold_as_numbers() -> None:
    """float32(0.6) is 0.60000002, above 0.6: a signal, whatever the dtype that it comes in."""
    market = predicted_bars([QUIET] * 3, [0.5] * 3, 1.0)
    p = np.array([0.6, 0.5, 0.5], np.float32)
    rules = backtest(threshold=0.6)
    assert len(rules.run([replace(market, p=p)]).records) == 1
    assert len(rules.run([replace(market, p=p.astype(float))]).records) == 1
    assert len(rules.run([replace(market, p=np.array([0.6, 0.5, 0.5]))]).records) == 0


def test_one_kernel_is_compiled_whatever_comes_in() -> None:
    from botscalp.backtest.kernel import run_nb

    market = predicted_bars([QUIET] * 4, [0.9] * 4, 1.0)
    backtest(notional=1000, capital=10_000, stop_atr=1).run([market])
    backtest(cooldown_bars=1).run([market])  # accounts have one of their own
    compiled = list(run_nb.signatures)
    strided = predicted_bars([QUIET] * 8, [0.9] * 8, 1.0)
    backtest().run([replace(strided, p=strided.p[::-1].astype(np.float32), atr=np.repeat(1.0, 16)[::2])])
    backtest(cooldown_bars=1).run([market, strided])
    backtest(latency_bars=2, funding="x").run([replace(market, funding=Funding(np.array([0]), np.array([0.1])))])
    assert run_nb.signatures == compiled


def test_size_table_is_linear_in_the_contract() -> None:
    market = [noise(seed=5, days=20)]
    rows = size_table(backtest(), market, (0.001, 0.01, 0.05))
    assert [row.contract for row in rows] == [0.001, 0.01, 0.05]
    assert rows[0].trades > 100
    for row, factor in zip(rows, (1, 10, 50), strict=True):
        for name in ("net_pnl", "fees", "roi", "max_drawdown_quote"):
            assert getattr(row, name) == pytest.approx(factor * getattr(rows[0], name), rel=1e-9), name
    own = backtest(contract=0.01).run(market)
    assert rows[1].net_pnl == pytest.approx(own.records["pnl_quote"].sum(), rel=1e-12)


def test_buy_and_hold_holds_the_same_of_each_symbol_whatever_the_sizing() -> None:
    """A size that follows equity, and its limits, are the model's way to trade, not part of holding."""
    market = [noise(seed=1, days=3), noise(seed=2, days=3)]
    rules = backtest(kelly_fraction=1.0, max_exposure=1.0, daily_loss_stop=0.01, step=0.5, latency_bars=2)
    held = buy_and_hold(rules, market, notional=614.0).records
    assert (held["size_base"] * held["entry_price"]).tolist() == pytest.approx([614.0, 614.0])


def test_whatever_the_plain_kernel_does_not_know_is_a_reason_not_to_take_it() -> None:
    """Every setting but those of the sweep's plain kernel and those that are not the kernel's, changed on its own."""
    aside = {"atr_span", "tick", "select", "candidates", "funding", "finer"}  # the market brings the last two
    aside |= {"filters"}  # whose values stand in the others when it runs
    other = {
        "round_prices": {"tick": 0.5, "round_prices": True},
        "through_ticks": {"tick": 0.5, "through_ticks": 1.0},
        "kelly_fraction": {"kelly_fraction": 0.5, "max_exposure": 1.0},
    }
    trust(["sizing_rules"])
    other |= {"sizing": {"sizing": {"_target_": "sizing_rules.Constant", "share": 0.5}}}
    other |= {"latency_bars": {"latency_bars": 1}, "cooldown_bars": {"cooldown_bars": 1}}
    assert backtest().plain
    for field in fields(Backtest):
        if field.name not in {*PLAIN, *aside}:
            assert not backtest(**other.get(field.name, {field.name: 0.5})).plain, field.name


def test_buy_and_hold_pays_both_ends() -> None:
    """p begins at bar 1: long 1,000 at the open of 2, 110 and 1 bp, to the last close, 121 less 1 bp; 5 bps at both."""
    rows = [QUIET, QUIET, (110, 112, 108, 111), (111, 150, 60, 90), (90, 125, 90, 121)]
    market = predicted_bars(rows, [np.nan, 0.5, 0.2, np.nan, np.nan], np.nan, numbers=[0, 1, 2, 60, 61])
    result = buy_and_hold(backtest(), [market])
    summary = summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)
    size = 1000 / (110 * 1.0001)
    proceeds = size * 121 * 0.9999
    assert (summary.trades, summary.ends) == (1, 1)
    assert summary.net_pnl == pytest.approx(proceeds - 1000 - 0.5 - proceeds * 5e-4, abs=1e-9)
    assert summary.gross_pnl == pytest.approx(size * 11)
    assert result.equity_quote[3] == pytest.approx(10_000 - 1000 - 0.5 + size * 90)
