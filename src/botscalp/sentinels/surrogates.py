"""Bars and labels on which the right answer is known, made from the user's own.

A surrogate bar is a real one, mirrored or not. In logs and relative to the close before it, a bar is its open, high, low
and close; mirrored, each changes sign, so that high and low swap roles, and takers who bought have sold. Signs that are
drawn decide on every direction, while ranges, volumes and the clustering of volatility stay what the market had.
"""

from dataclasses import replace

import numpy as np

from botscalp.pipeline.panel import Panel
from botscalp.times import DAY_NS
from botscalp.types import Bars, Bool, Float32, Float64, Int64
from botscalp.windows import Window


def martingale_bars(bars: Bars, rng: np.random.Generator) -> Bars:
    """Bars without any direction to predict: each drawn bar is mirrored by a coin of its own.

    Bars are drawn in blocks of a day (Kuensch 1989), at the times of the original, missing ones included.
    """
    return resigned(bars, drawn_rows(bars, rng), rng.random(len(bars)) < 0.5)


def momentum_bars(bars: Bars, rng: np.random.Generator, *, repeat: float) -> Bars:
    """Bars as above, but that the sign of a return is that of the return before it with probability `repeat`.

    The same generator gives the same days and ranges, whatever `repeat` is; at 1/2 these are martingale bars.
    """
    rows = drawn_rows(bars, rng)
    turns = rng.random(len(bars)) >= repeat
    falls = np.logical_xor.accumulate(turns)
    return resigned(bars, rows, falls != (_relative_to_close(bars)[3][rows] < 0.0))


def last_sign(bars: Bars) -> Float64:
    """The score that knows all of momentum bars' signal at each close: the sign of the last return. Shape (T,)."""
    return np.sign(np.diff(bars.close, prepend=bars.close[0]))


def drawn_rows(bars: Bars, rng: np.random.Generator) -> Int64:
    """For each row the row it is made from, in blocks of a day, drawn with replacement."""
    rows = len(bars)
    block = int(min(max(1, DAY_NS // bars.interval_ns), rows))
    starts = rng.integers(0, rows - block + 1, -(-rows // block))
    drawn: Int64 = (starts[:, None] + np.arange(block)).ravel()[:rows]
    return drawn


def resigned(bars: Bars, rows: Int64, mirrored: Bool) -> Bars:
    """The bars of `rows` one after another at the original's times, those of `mirrored` upside down; both of shape (T,)."""
    relative = [column[rows] for column in _relative_to_close(bars)]
    open_, high, low, close = (np.where(mirrored, -column, column) for column in relative)
    high, low = np.where(mirrored, low, high), np.where(mirrored, high, low)
    path = np.log(bars.open[0]) + np.cumsum(close)
    before = path - close
    opened, closed = np.exp(before + open_), np.exp(path)
    price = closed / bars.close[rows]
    columns = {
        "open": opened,
        # exp rounds: an extreme at open or close itself may land an ulp inside.
        "high": np.maximum(np.exp(before + high), np.maximum(opened, closed)),
        "low": np.minimum(np.exp(before + low), np.minimum(opened, closed)),
        "close": closed,
        "volume": bars.volume[rows],
    }
    if bars.quote_volume is not None:
        columns["quote_volume"] = bars.quote_volume[rows] * price
    if bars.trades is not None:
        columns["trades"] = bars.trades[rows]
    if bars.taker_buy_volume is not None:
        bought, volume = bars.taker_buy_volume[rows], columns["volume"]
        columns["taker_buy_volume"] = np.where(mirrored, np.maximum(volume - bought, 0.0), bought)
    return replace(bars, **columns)


def shuffled_labels(panel: Panel, window: Window, rng: np.random.Generator, *, block: int) -> Float32:
    """The panel's labels, those of each range that the window fits on permuted in blocks of `block` rows or more.

    Each symbol's labels stay its own, and each range keeps its share of "up"; test labels are the real ones. Shape (N,).
    """
    label_N = panel.label_N.copy()
    for rows in _fitted_rows(panel, window):
        for symbol in range(len(panel.bars)):
            mine = rows[panel.symbol_N[rows] == symbol]
            blocks = np.array_split(mine, max(1, len(mine) // block))
            order = rng.permutation(len(blocks))
            label_N[mine] = panel.label_N[np.concatenate([blocks[i] for i in order])]
    return label_N


def reversed_labels(panel: Panel, window: Window, label_N: Float32) -> Float32:
    """The labels with up and down exchanged in the ranges that the window fits on. Shape (N,)."""
    reversed_N = label_N.copy()
    for rows in _fitted_rows(panel, window):
        reversed_N[rows] = 1 - label_N[rows]
    return reversed_N


def _fitted_rows(panel: Panel, window: Window) -> list[Int64]:
    return [panel.labelled_rows(part) for part in (window.train, window.stopping, window.calibration)]


def _relative_to_close(bars: Bars) -> tuple[Float64, Float64, Float64, Float64]:
    """Logs of open, high, low and close over the close before; of the first bar over its own open."""
    before = np.log(np.concatenate([bars.open[:1], bars.close[:-1]]))
    open_, high, low, close = (np.log(column) - before for column in (bars.open, bars.high, bars.low, bars.close))
    return open_, high, low, close
