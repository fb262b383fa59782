"""The out-of-sample predictions of all windows, one after another: what is scored and traded, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from botscalp.pipeline.panel import Panel
from botscalp.pipeline.window import FittedWindow, Forecast
from botscalp.types import Bool, Float64, Int64


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """n rows by window, symbol and time; every array has shape (n,)."""

    row: Int64
    """in the panel"""
    open_time_ns: Int64
    symbol: Int64
    """position in the panel's bars"""
    window: Int64
    p_raw: Float64
    p: Float64
    label: Float64
    """1 up, 0 down, NaN where there is no label"""
    base_rate: Float64
    """share of "up" in the training range of the row's window: the forecast that needs no model"""

    @cached_property
    def labelled(self) -> Bool:
        """The rows that metrics use."""
        return ~np.isnan(self.label)

    def of_window(self, window: int) -> Bool:
        """The labelled rows of one window."""
        rows: Bool = self.labelled & (self.window == window)
        return rows

    def table(self, symbols: Sequence[str]) -> pd.DataFrame:
        """The predictions as `predictions.parquet` holds them."""
        return pd.DataFrame(
            {
                "open_time": pd.to_datetime(self.open_time_ns, utc=True),
                "symbol": np.array(symbols)[self.symbol],
                "window": self.window,
                "p_raw": self.p_raw,
                "p": self.p,
                "label": self.label,
            }
        )


@dataclass(frozen=True, kw_only=True)
class ModelPredictions:
    """What one model says of each kind of range, all windows together."""

    train: Predictions
    """of the last stretch of training, as long as the test; weights and scaler have seen its labels"""
    validation: Predictions
    """of validation's second half; the calibrator has seen its labels, p_raw has not"""
    test: Predictions

    @classmethod
    def of(cls, panel: Panel, fits: Sequence[FittedWindow]) -> "ModelPredictions":
        """The forecasts of the windows, oldest first."""
        base_rates = [fit.base_rate for fit in fits]
        return cls(
            train=concatenated(panel, [fit.train for fit in fits], base_rates),
            validation=concatenated(panel, [fit.calibration for fit in fits], base_rates),
            test=concatenated(panel, [fit.test for fit in fits], base_rates),
        )


def concatenated(panel: Panel, forecasts: Sequence[Forecast], base_rates: Sequence[float]) -> Predictions:
    """The forecasts of all windows, oldest first, with the panel's labels and each window's training base rate."""
    lengths = [len(one.p) for one in forecasts]
    open_time_ns = np.concatenate([one.open_time_ns for one in forecasts])
    symbol = np.concatenate([one.symbol for one in forecasts])
    row = np.empty(len(symbol), np.int64)
    for position, first in enumerate(panel.first_row[:-1]):
        here = symbol == position
        row[here] = first + np.searchsorted(panel.bars[position].open_time_ns, open_time_ns[here])
    assert np.array_equal(panel.open_time_ns[row], open_time_ns)
    return Predictions(
        row=row,
        open_time_ns=open_time_ns,
        symbol=symbol,
        window=np.repeat(np.arange(len(forecasts)), lengths),
        p_raw=np.concatenate([one.p_raw for one in forecasts]),
        p=np.concatenate([one.p for one in forecasts]),
        label=panel.label_N[row].astype(np.float64),
        base_rate=np.repeat(base_rates, lengths),
    )
