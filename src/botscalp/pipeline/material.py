"""What the pictures of a run are drawn from: its accounts, its trades, and what they would be at other thresholds and costs."""

from dataclasses import replace
from statistics import median_low

import numpy as np
import pandas as pd

from botscalp.backtest.anatomy import excursions, positions_ns
from botscalp.backtest.costs import times_costs
from botscalp.backtest.records import REASONS
from botscalp.backtest.result import Result
from botscalp.backtest.settings import Backtest
from botscalp.pipeline.evidence.estimates import Days, Estimator, TradeRows
from botscalp.pipeline.predictions import Predictions
from botscalp.pipeline.trading import Traded
from botscalp.report.material import Band, Curve, Material

OTHER_COSTS = ("costs_x0", "costs_x2")
"""levels that are drawn beside the run's own"""
MULTIPLES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
"""of fees, slippage and spread"""
THRESHOLDS = 6


def material_of(test: Predictions, traded: Traded, backtest: Backtest, estimator: Estimator) -> Material:
    """All that the pictures need beyond summary.json.

    Where each window has chosen a threshold of its own (`backtest.select=validation`), the middle one stands for them.

    Args:
        test: the predictions that were traded.
        backtest: how.
        estimator: the draws of the run's other intervals.
    """
    threshold = median_low([bracket.threshold for bracket in traded.brackets])
    return Material(
        capital_quote=backtest.capital,
        threshold=threshold,
        curves=_curves(traded),
        band=_band(traded.result, estimator),
        predictions=pd.DataFrame({name: getattr(test, name)[test.labelled] for name in ("p_raw", "p", "label")}),
        trades=_trades(traded.result),
        threshold_costs=_threshold_costs(traded, threshold, backtest, estimator),
    )


def _curves(traded: Traded) -> tuple[Curve, ...]:
    others = {name: traded.at_costs[name].result for name in OTHER_COSTS if name in traded.at_costs}
    accounts = {"costs_x1": traded.result, **others, "buy_and_hold": traded.baselines["buy_and_hold"]}
    return tuple(
        Curve(name=name, close_time_ns=account.close_time_ns, equity_quote=account.equity_quote)
        for name, account in accounts.items()
    )


def _band(result: Result, estimator: Estimator) -> Band | None:
    """Where the account stands at the end of each day in 95 % of redrawn histories, day by day: `Resampling.path_band`.

    They are made of the run's own days, drawn in blocks of consecutive ones, with the draws that the interval of the ROI
    comes from: at the last day the band is that interval. A day earns there what it earned, in money, whatever the account
    stands at.
    """
    days = Days.of(result)
    found = estimator.days.path_band(days.pnl_quote, days.time_ns)
    if found is None:
        return None
    low, high = found
    ends_ns = estimator.days.start_ns + np.arange(1, len(low) + 1) * estimator.days.cell_ns
    return Band(
        time_ns=np.minimum(ends_ns, result.close_time_ns[-1]),
        low_quote=result.capital_quote + low,
        high_quote=result.capital_quote + high,
    )


def _trades(result: Result) -> pd.DataFrame:
    """In the order of the records."""
    records, moved = result.records, excursions(result)
    entered_ns, left_ns = positions_ns(result)
    atr = np.empty(len(records))
    for symbol, one in enumerate(result.market):
        here = records["symbol"] == symbol
        atr[here] = one.atr[records["signal"][here]]
    atr_bps = 1e4 * atr / records["entry_price"]
    return pd.DataFrame(
        {
            "symbol": np.array([one.bars.symbol for one in result.market])[records["symbol"]],
            "side": records["side"],
            "reason": np.array(REASONS)[records["reason"]],
            "entry_time": pd.to_datetime(entered_ns, utc=True),
            "bars_held": (left_ns - entered_ns) / result.market[0].bars.interval_ns,
            "net_bps": result.net_bps,
            "gross_bps": result.gross_bps,
            "mae_atr": moved.adverse_bps / atr_bps,
            "mfe_atr": moved.favourable_bps / atr_bps,
        }
    )


def _threshold_costs(traded: Traded, own: float, backtest: Backtest, estimator: Estimator) -> pd.DataFrame:
    """The same predictions really traded at each threshold and each multiple of the costs, all else as it was.

    Where windows have chosen brackets of their own, each keeps its stop, target and hold, and all have the same threshold.
    """
    rows = []
    for threshold in thresholds_around(own):
        chosen = [replace(bracket, threshold=threshold) for bracket in traded.brackets]
        by_window = None if backtest.select == "none" else chosen
        for multiple in MULTIPLES:
            level = times_costs(replace(backtest, threshold=threshold), multiple)
            if level is None:
                continue
            result = level.run(traded.result.market, by_window)
            low, high = estimator.of(TradeRows.of(result).mean_net()).interval or (None, None)
            rows.append((threshold, multiple, result.summary.trades, result.summary.mean_net_bps, low, high))
    columns = ["threshold", "multiple", "trades", "mean_net_bps", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("mean_net_bps", "low", "high"), float))


def thresholds_around(own: float) -> list[float]:
    """From 0.5 on, in steps of half the way to the run's own, which is the third; a run at 0.5 has none, so steps of 0.02."""
    step = (own - 0.5) / 2 or 0.02
    around = {round(0.5 + step * count, 9) for count in range(THRESHOLDS)}
    return sorted(threshold for threshold in {own, *around} if threshold < 1.0)
