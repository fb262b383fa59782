"""What the pictures of a run are drawn from, beyond what summary.json says: arrays and tables, ready to draw."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botscalp.types import Float64, Int64

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """An account over time, at every close; both arrays have shape (T,)."""

    name: str
    """a level of costs, e.g. "costs_x1", or a baseline, e.g. "buy_and_hold" """
    close_time_ns: Int64
    equity_quote: Float64


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """Where the account would lie in 95 % of redrawn histories; every array has shape (days,)."""

    time_ns: Int64
    """end of each UTC day"""
    low_quote: Float64
    high_quote: Float64


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """All of one run."""

    capital_quote: float
    threshold: float
    """of the probability, at which a long is entered; a short at one less it; the middle one where windows chose their own"""
    curves: tuple[Curve, ...]
    """at the costs that were set first, then at none, at twice them, and of buying and holding"""
    band: Band | None
    """of the first curve; None where too few days tell"""
    predictions: "pd.DataFrame"
    """p_raw, p, label of the labelled test rows"""
    trades: "pd.DataFrame"
    """a row a trade: symbol, side, reason, entry_time (UTC), bars_held, net_bps, gross_bps, mae_atr, mfe_atr (how far the
    price went against it and for it, in ATR at its signal)"""
    threshold_costs: "pd.DataFrame"
    """a row for each threshold and each multiple of the costs: threshold, multiple, trades, mean_net_bps, low, high (NaN where
    there is none)"""
