"""What the pictures are drawn from agrees with the run's files, and with what is counted again by hand."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from runs import Run, composed, walk

from botscalp.indicators import atr
from botscalp.pipeline import walkforward
from botscalp.pipeline.material import MULTIPLES, material_of, thresholds_around
from botscalp.report.material import Material

LONG = ("data.end=2023-05-01", "wfo.windows=8", "wfo.train=3w", "backtest.threshold=0.51")
"""eight weeks of tests: enough for intervals of days"""


@dataclass(frozen=True)
class Drawn:
    """A finished run with what its pictures would have been drawn from."""

    run: Run
    material: Material
    arguments: tuple[Any, ...]
    """of `material_of`"""


def drawn(folder: Path, *overrides: str) -> Drawn:
    """The run, its page left out."""
    kept: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walkforward, "write_page", lambda folder, summary, material: kept.append(material))
        run = walk(folder, "report=true", *overrides)
    (material,) = kept
    return Drawn(run, material(), material.args)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return drawn(tmp_path_factory.mktemp("material") / "run", *LONG)


def cells(material: Material) -> pd.DataFrame:
    return material.threshold_costs.set_index(["threshold", "multiple"])


# --- accounts ---


def test_curves_are_the_accounts_that_the_summary_tells_of(long: Drawn) -> None:
    summary, curves = long.run.summary, long.material.curves
    costs = {level["name"]: level["net_pnl"] for level in summary["costs"]}
    expected = {name: costs[name] for name in ("costs_x1", "costs_x0", "costs_x2")}
    expected["buy_and_hold"] = summary["baselines"]["buy_and_hold"]["backtest"]["net_pnl"]
    assert [curve.name for curve in curves] == list(expected), "the run's own first"
    assert long.material.capital_quote == 10_000
    for curve in curves:
        assert curve.equity_quote[-1] == pytest.approx(10_000 + expected[curve.name], abs=1e-6)
    equity = long.run.table("equity")
    assert (curves[0].equity_quote == equity.equity_quote).all()
    assert (pd.to_datetime(curves[0].close_time_ns, utc=True) == equity.close_time).all()


def test_the_band_ends_in_the_interval_of_the_return(long: Drawn) -> None:
    band, summary = long.material.band, long.run.summary
    assert band is not None and len(band.time_ns) == summary["backtest"]["days"] == 56
    ends = np.array([band.low_quote[-1], band.high_quote[-1]])
    assert ends == pytest.approx(10_000 * (1 + np.array(summary["intervals"]["backtest"]["roi"])), abs=0.01)
    assert (band.low_quote < band.high_quote).all()
    midnights = pd.to_datetime(band.time_ns, utc=True)
    assert (midnights == pd.date_range(summary["windows"][0]["test"][0], periods=57, freq="D")[1:]).all()
    assert band.time_ns[-1] == long.material.curves[0].close_time_ns[-1]


# --- rows ---


def test_predictions_are_the_labelled_test_rows(long: Drawn) -> None:
    labelled = long.run.predictions.dropna(subset="label")[["p_raw", "p", "label"]]
    pd.testing.assert_frame_equal(long.material.predictions, labelled.reset_index(drop=True))


TWO = ("wfo.windows=1", "data.symbols=[AAA,BBB]")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Two symbols, two weeks."""
    return drawn(tmp_path_factory.mktemp("material") / "two", *TWO)


@pytest.mark.parametrize(("name", "overrides"), [("long", LONG), ("two", TWO)])
def test_every_trade_is_measured_in_the_atr_of_its_signal(
    name: str, overrides: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    """Counted again, bar by bar: the entry bar whole, the exit bar by its fill alone."""
    found: Drawn = request.getfixturevalue(name)
    experiment = composed(*overrides)
    bars = {one.symbol: one for one in experiment.data.load()}
    known = {name: atr(one, experiment.backtest.atr_span) for name, one in bars.items()}
    row_of = {name: {time: row for row, time in enumerate(one.open_time_ns.tolist())} for name, one in bars.items()}
    files = found.run.table("trades").sort_values(["symbol", "entry_time"], ignore_index=True)
    ours = found.material.trades.sort_values(["symbol", "entry_time"], ignore_index=True)
    assert len(ours) == len(files) > 20
    for column in ("symbol", "side", "reason"):
        assert (ours[column] == files[column]).all()
    assert (ours.entry_time == files.entry_time).all()
    bps = 1e4 / (files.size_base * files.entry_price)
    assert ours.net_bps.to_numpy() == pytest.approx((files.pnl_quote * bps).to_numpy())
    assert ours.gross_bps.to_numpy() == pytest.approx((files.gross_quote * bps).to_numpy())
    for mine, trade in zip(ours.itertuples(), files.itertuples(), strict=True):
        one, rows = bars[trade.symbol], row_of[trade.symbol]
        signal, entry, left = (
            rows[pd.Timestamp(time).value] for time in (trade.signal_time, trade.entry_time, trade.exit_time)
        )
        prices = [trade.entry_price, trade.exit_price, *one.high[entry:left], *one.low[entry:left]]
        up, down = max(prices) - trade.entry_price, trade.entry_price - min(prices)
        against, along = (down, up) if trade.side == 1 else (up, down)
        unit = known[trade.symbol][signal]
        assert (mine.mae_atr, mine.mfe_atr) == pytest.approx((against / unit, along / unit), abs=1e-9)
        assert mine.bars_held == left - entry + (trade.reason != "timeout")


# --- thresholds and costs ---


def test_the_run_s_own_cell_and_its_row_are_the_run_s_own_figures(long: Drawn) -> None:
    found, summary = cells(long.material), long.run.summary
    assert long.material.threshold == 0.51
    own = found.loc[(0.51, 1.0)]
    assert (own.trades, own.mean_net_bps) == (summary["backtest"]["trades"], summary["backtest"]["mean_net_bps"])
    assert [own.low, own.high] == summary["intervals"]["backtest"]["mean_net_bps"]
    for level in summary["costs"]:
        name, _, multiple = level["name"].partition("costs_x")
        if not name:
            mine = found.loc[(0.51, float(multiple))]
            assert mine.trades == level["trades"]
            assert mine[["mean_net_bps", "low", "high"]].tolist() == pytest.approx([*level["mean_net_bps"].values()])


def test_dearer_and_choosier_cells_go_the_way_they_must(long: Drawn) -> None:
    found = cells(long.material)
    assert sorted(found.index.get_level_values(0).unique()) == [0.5, 0.505, 0.51, 0.515, 0.52, 0.525]
    assert tuple(found.loc[0.51].index) == MULTIPLES == (0, 0.5, 1, 1.5, 2, 3)
    for _, row in found.groupby(level=0):
        assert all(one > other for one, other in pairwise(row.mean_net_bps))
    signals = long.run.predictions.p.to_numpy()
    for threshold, row in found.groupby(level=0):
        assert 0 < row.trades.max() <= ((signals > threshold) | (signals < 1 - threshold)).sum()


def test_windows_that_chose_for_themselves_keep_their_stops(tmp_path: Path) -> None:
    """All windows have one threshold, so the run's own cell is there; its stops and targets are each window's own."""
    choice = (
        "backtest.select=validation",
        "backtest.candidates.threshold=[0.52]",
        "backtest.candidates.stop_atr=[0.5,3]",
    )
    found = drawn(tmp_path / "run", *choice, "backtest.threshold=0.6")
    summary = found.run.summary
    assert found.material.threshold == 0.52
    own = cells(found.material).loc[(0.52, 1.0)]
    assert (own.trades, own.mean_net_bps) == (summary["backtest"]["trades"], summary["backtest"]["mean_net_bps"])


def test_too_few_days_have_no_band_and_no_trades_no_mean(tmp_path: Path) -> None:
    found = drawn(tmp_path / "run", "backtest.threshold=0.99").material
    assert found.band is None, "two weeks"
    assert len(found.trades) == 0 and found.trades.mae_atr.dtype == float
    own = cells(found).loc[(0.99, 1.0)]
    assert own.trades == 0 and own[["mean_net_bps", "low", "high"]].isna().all()
    assert cells(found).loc[(0.5, 1.0)].trades > 0


def test_costs_that_would_take_the_whole_price_are_left_out(two: Drawn) -> None:
    test, traded, backtest, estimator = two.arguments
    dear = material_of(test, traded, replace(backtest, slippage_bps=4_000.0), estimator)
    assert set(dear.threshold_costs.multiple) == {0.0, 0.5, 1.0, 1.5, 2.0}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (0.54, [0.5, 0.52, 0.54, 0.56, 0.58, 0.6]),
        (0.5, [0.5, 0.52, 0.54, 0.56, 0.58, 0.6]),
        (0.7, [0.5, 0.6, 0.7, 0.8, 0.9]),
        (0.99, [0.5, 0.745, 0.99]),
        (0.53, [0.5, 0.515, 0.53, 0.545, 0.56, 0.575]),
    ],
)
def test_thresholds_lie_around_the_run_s_own(own: float, expected: list[float]) -> None:
    assert thresholds_around(own) == expected and own in expected
