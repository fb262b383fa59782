"""Whether the probabilities mean what they say."""

from dataclasses import dataclass

from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.predictions import Predictions
from botscalp.statistics.bootstrap import Interval, Resampling
from botscalp.statistics.reliability import (
    BrierParts,
    ReliabilityBin,
    brier_parts,
    ece_apart,
    ece_null_band,
    reliability,
    squared_error,
)


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """How far the calibrated probabilities of the test rows are from frequencies."""

    ece_apart: float | None
    """ECE of every span-th row, averaged over the offsets"""
    ece_null_band: Interval | None
    """where that lies for a perfectly calibrated forecast of this sharpness, in 98 % or more"""
    squared_error: Estimate
    """mean squared calibration error, less what noise adds to it"""
    brier_parts: BrierParts | None
    reliability: list[ReliabilityBin]
    reliability_raw: list[ReliabilityBin]
    """before calibration"""


def calibration(
    test: Predictions, bars: Resampling, *, span_bars: int, symbols: int, interval_ns: int, seed: int
) -> Calibrated:
    """Look at the labelled rows of all windows together."""
    rows = test.labelled
    p, p_raw, label, time_ns = test.p[rows], test.p_raw[rows], test.label[rows], test.open_time_ns[rows]
    squared = squared_error(p, label, time_ns, bars)
    return Calibrated(
        ece_apart=ece_apart(p, label, time_ns // interval_ns, span_bars=span_bars),
        ece_null_band=ece_null_band(p, seed=seed, span_bars=span_bars, symbols=symbols),
        squared_error=Estimate(None, None) if squared is None else Estimate(*squared),
        brier_parts=brier_parts(p, label),
        reliability=reliability(p, label, rows_a_draw=span_bars * symbols),
        reliability_raw=reliability(p_raw, label, rows_a_draw=span_bars * symbols),
    )
