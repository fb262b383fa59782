"""What a forecaster learns from."""

from dataclasses import dataclass

from botscalp.features.samples import Timeline
from botscalp.types import Float32, Int64


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """N rows of all symbols, and which of them are looked at."""

    x_NF: Float32
    """scaled features"""
    label_N: Float32
    """0 or 1 at train_rows and stopping_rows; other labels are never asked for"""
    timeline: Timeline
    train_rows: Int64
    """labelled, increasing"""
    stopping_rows: Int64
    """labelled, increasing; their labels say when to stop, and how to weigh what was learnt"""
