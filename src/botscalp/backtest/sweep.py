"""A grid of settings over the same predictions: a row of figures for every combination."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.engine import Columns, brackets_of, rows_at
from botscalp.backtest.performance import figures_of, midnight_rows
from botscalp.backtest.result import PredictedBars
from botscalp.backtest.settings import BPS, Backtest
from botscalp.types import Float64, Int64

if TYPE_CHECKING:
    import pandas as pd

PLAIN = (
    *("threshold", "stop_atr", "target_atr", "max_hold", "taker_bps", "maker_bps", "slippage_bps", "slippage_ticks"),
    *("notional", "contract", "capital"),
)
"""the settings that `sweep_kernel.py` knows"""
SWEPT = (
    *PLAIN,
    *("spread_bps", "through_ticks", "latency_bars", "step", "min_notional"),
    *("equity_fraction", "volatility_target", "kelly_fraction", "max_exposure", "cooldown_bars", "daily_loss_stop"),
)
"""the settings that a grid may hold; the ATR comes with the market"""
BLOCK = 16
"""configs of one threshold that a thread takes at a time"""
_one_at_a_time = threading.Lock()  # numba's workqueue is not safe to enter twice


def sweep(market: Sequence[PredictedBars], base: Backtest, grid: Mapping[str, Sequence[float]]) -> "pd.DataFrame":
    """Run every combination of the grid's values, all else as in `base`, in one call of a compiled, parallel kernel.

    Plain settings over one symbol share what they can (`sweep_kernel.py`); with any other setting, and for several symbols,
    each config is run as `Backtest.run` would. The trades of a config are those of `dataclasses.replace(base, ...).run(market)`.

    Args:
        grid: values of settings of `Backtest` (SWEPT), e.g. {"threshold": [0.52, 0.54], "stop_atr": [1, 1.5]}.

    Returns:
        A row for every combination, the last key varying fastest: the grid's values, then the figures of `Summary` but
        for the reason why there is no Sharpe ratio, bit for bit those of `summarize`; NaN where it says None.

    Raises:
        UserError: a setting contradicts another.
    """
    import pandas as pd

    unknown = set(grid) - set(SWEPT)
    assert not unknown, f"no settings of a grid: {unknown}"
    for name, values in grid.items():
        for value in values:
            _changed(base, {name: value})
    combinations = list(product(*grid.values()))
    settings = {
        name: np.array(values, float) for name, values in zip(grid, zip(*combinations, strict=True), strict=True)
    }
    columns = Columns(tuple(market), base.sizing_rule)
    if columns.bare and base.plain and set(grid) <= set(PLAIN):
        figures = _swept(columns, {name: _filled(base, name, settings, len(combinations)) for name in (*PLAIN, "tick")})
    else:
        figures = _each(columns, [_changed(base, dict(zip(grid, values, strict=True))) for values in combinations])
    return pd.DataFrame(settings | figures)


def _changed(base: Backtest, values: Mapping[str, Any]) -> Backtest:
    return replace(base, **values)


def _filled(base: Backtest, name: str, settings: Mapping[str, Float64], count: int) -> Float64:
    """The setting of each config, shape (K,); 0 for None."""
    return settings[name] if name in settings else np.full(count, float(getattr(base, name) or 0.0))


def _each(columns: Columns, configs: Sequence[Backtest]) -> dict[str, NDArray[Any]]:
    """The figures of K configs, each run on its own."""
    import numba

    from botscalp.backtest.each_kernel import run_each_nb
    from botscalp.backtest.records import TOTALS

    symbols = [one.bars.symbol for one in columns.market]
    times_ns = [one.bars.close_time_ns for one in columns.market]
    union_ns = np.unique(np.concatenate(times_ns))
    midnight_row_D = midnight_rows(union_ns)
    totals = np.zeros(len(configs), TOTALS)
    with _one_at_a_time:
        run_each_nb(
            columns.open_time_ns,
            *columns.prices,
            columns.p,
            columns.atr,
            columns.interval_ns,
            np.stack([brackets_of(columns, config.bracket, None, config.latency_bars) for config in configs]),
            np.stack([config.terms_of(symbols) for config in configs]),
            columns.account,
            np.stack(rows_at(times_ns, union_ns), axis=1),
            midnight_row_D,
            numba.get_num_threads(),
            totals,
        )
    return figures_of(totals, np.array([config.capital for config in configs], float), len(midnight_row_D))


def _swept(columns: Columns, setting: Mapping[str, Float64]) -> dict[str, NDArray[Any]]:
    """The figures of K plain configs over one symbol, given as columns of shape (K,)."""
    from botscalp.backtest.records import TOTALS

    assert setting["threshold"].min() >= 0.5
    totals = np.zeros(len(setting["threshold"]), TOTALS)
    midnight_row_D = midnight_rows(columns.market[0].bars.close_time_ns)
    slippages = np.stack([setting["slippage_bps"] * BPS, setting["slippage_ticks"] * setting["tick"]], axis=1)
    for rate, price in np.unique(slippages, axis=0):
        (here,) = np.nonzero((slippages == [rate, price]).all(axis=1))
        here = here[np.argsort(setting["threshold"][here], kind="stable")]
        chosen = {name: values[here] for name, values in setting.items()}
        totals[here] = _walked(columns, chosen, float(rate), float(price), midnight_row_D)
    return figures_of(totals, setting["capital"], len(midnight_row_D))


def _walked(
    columns: Columns, setting: Mapping[str, Float64], rate: float, price: float, midnight_row_D: Int64
) -> NDArray[np.void]:
    """The TOTALS of configs that share their slippage, in the order of their thresholds."""
    import numba

    from botscalp.backtest.records import TOTALS
    from botscalp.backtest.sweep_kernel import FAR, first_touch_nb, sweep_nb

    p, atr = columns.p, columns.atr
    open_, high, low, close = columns.prices
    threshold_K = setting["threshold"]
    follows = np.diff(columns.open_time_ns) == columns.interval_ns
    tradable = follows & (atr[:-1] > 0.0) & (atr[:-1] < np.inf)
    row_M = np.flatnonzero(tradable & ((p[:-1] > threshold_K[0]) | (p[:-1] < 1.0 - threshold_K[0]))).astype(np.int32)
    side_M = np.where(p[row_M] > threshold_K[0], 1.0, -1.0)
    fill_M = open_[row_M + 1] * (1.0 + side_M * rate) + side_M * price
    atr_M = atr[row_M]
    reach = int(min(setting["max_hold"].max(), FAR))
    levels, touches = {}, {}
    with _one_at_a_time:
        for name, direction_M in (("stop_atr", -side_M), ("target_atr", side_M)):
            multiple_L, levels[name] = np.unique(setting[name], return_inverse=True)
            touches[name] = np.empty((len(multiple_L), len(row_M)), np.uint8)
            first_touch_nb(high, low, row_M, direction_M, fill_M, atr_M, multiple_L, reach, touches[name])
        totals = np.zeros(len(threshold_K), TOTALS)
        sweep_nb(
            columns.open_time_ns,
            open_,
            high,
            low,
            close,
            p,
            columns.interval_ns,
            not follows.all(),
            midnight_row_D,
            row_M,
            side_M,
            fill_M,
            atr_M,
            touches["stop_atr"],
            touches["target_atr"],
            _blocks(threshold_K, numba.get_num_threads()),
            threshold_K,
            setting["stop_atr"],
            levels["stop_atr"],
            setting["target_atr"],
            levels["target_atr"],
            setting["max_hold"].astype(np.int64),
            setting["taker_bps"] * BPS,
            setting["maker_bps"] * BPS,
            setting["notional"],
            setting["contract"],
            setting["capital"],
            rate,
            price,
            totals,
        )
    return totals


def _blocks(threshold_K: Float64, threads: int) -> Int64:
    """[first, last) of the configs that a thread takes at a time, shape (B, 2).

    Threads get equal, contiguous shares of the blocks, and loose thresholds take longest: so they are dealt out.
    """
    new = np.flatnonzero(np.diff(threshold_K)) + 1
    edges = [0, *new.tolist(), len(threshold_K)]
    blocks = [
        (first, min(first + BLOCK, last)) for start, last in pairwise(edges) for first in range(start, last, BLOCK)
    ]
    return np.array([block for thread in range(threads) for block in blocks[thread::threads]], np.int64)
