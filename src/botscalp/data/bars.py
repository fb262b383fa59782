"""The contract of `Bars` enforced, and what is done to bars as a whole: cut, digest."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from botscalp.data.grid import grid_of
from botscalp.errors import UserError
from botscalp.times import SECOND_NS, interval_name, time_text
from botscalp.types import Bars, Bool, Float64, Int64

# Taker volume may exceed volume by what summing finer bars in floating point leaves behind.
_DUST = 1e-9

_REPAIR = "correct or delete that row in the source: bars are never repaired silently, and a missing bar is allowed"


def checked(bars: Bars, *, key: str, value: object) -> Bars:
    """The same bars, once they keep the contract of `Bars`.

    `key` and `value` are what the user typed to get these bars, such as data.path and the file.
    Raises UserError with the first row that breaks the contract, its time, the reason and the remedy.
    """
    assert all(column.shape == (len(bars),) for _, column in bars.columns()), "columns of one length"
    if not len(bars):
        raise UserError(key, value, f"holds no bars of {bars.symbol}", "give a source with bars")
    broken = [rule for rule in _rules(bars) if rule[0].any()]
    if broken:
        rows, names, reason, remedy = min(broken, key=lambda rule: int(rule[0].argmax()))
        row, count = int(rows.argmax()), int(rows.sum())
        where = f"row {row} of {bars.symbol}, counted from 0, at {time_text(int(bars.open_time_ns[row]))}"
        values = ", ".join(f"{name} {getattr(bars, name)[row]:.15g}" for name in names)
        others = f"; so do {count - 1} later rows" if count > 1 else ""
        raise UserError(key, value, f"{where}, {reason}{f' ({values})' if values else ''}{others}", remedy)
    return bars


def _rules(bars: Bars) -> Iterator[tuple[Bool, tuple[str, ...], str, str]]:
    """(rows that break it, columns to show, reason, remedy) of each rule of the contract, coarse rules first."""
    step = np.diff(bars.open_time_ns, prepend=bars.open_time_ns[0] - 1)
    yield step < 0, (), "goes back in time", "sort the source by open time"
    yield step == 0, (), "repeats the time of the row before it", "keep one row for each open time"
    yield (
        ~grid_of(bars.interval_ns, int(bars.open_time_ns[0])).holds(bars.open_time_ns),
        (),
        f"lies off the grid of {interval_name(bars.interval_ns)}, the source's interval",
        "give bars of one interval, with the time at which each bar opens, in UTC",
    )
    for name in ("open", "high", "low", "close"):
        price: Float64 = getattr(bars, name)
        yield ~((price > 0) & (price < np.inf)), (name,), "has no positive finite price", _REPAIR
    for name, inside in (
        ("low", bars.low <= np.minimum(bars.open, bars.close)),
        ("high", bars.high >= np.maximum(bars.open, bars.close)),
    ):
        yield ~inside, ("open", "high", "low", "close"), f"has its {name} between open and close", _REPAIR
    for name in ("volume", "quote_volume", "trades", "taker_buy_volume"):
        amount: Float64 | None = getattr(bars, name)
        if amount is not None:
            yield ~((amount >= 0) & (amount < np.inf)), (name,), "has no finite amount of at least 0", _REPAIR
    if bars.taker_buy_volume is not None:
        yield (
            bars.taker_buy_volume > bars.volume * (1 + _DUST) + _DUST,
            ("volume", "taker_buy_volume"),
            "has takers buy more than was traded",
            "both count base asset: check that taker_buy_volume is not the quote column",
        )


def inferred_interval_ns(open_time_ns: Int64, *, key: str, value: object) -> int:
    """The most common step between rows; whether every row lies on its grid is for `checked` to say.

    Raises UserError where there is no step, or one that is not a whole number of seconds.
    """
    steps, counts = np.unique(np.diff(open_time_ns), return_counts=True)
    steps, counts = steps[steps > 0], counts[steps > 0]
    if not len(steps):
        raise UserError(key, value, "no row follows another in time", "give two bars or more, sorted")
    interval_ns = int(steps[counts.argmax()])
    if interval_ns % SECOND_NS:
        raise UserError(
            key,
            value,
            f"the most common step between rows is {interval_ns / SECOND_NS:.9g} s, no whole number of seconds",
            "give klines, with the time at which each one opens",
        )
    return interval_ns


def clipped(bars: Bars, start_ns: int | None, end_ns: int | None) -> Bars:
    """The bars that open within [start, end), as views; None leaves that side open."""
    first = 0 if start_ns is None else int(np.searchsorted(bars.open_time_ns, start_ns))
    last = len(bars) if end_ns is None else int(np.searchsorted(bars.open_time_ns, end_ns))
    return bars[first : max(first, last)]


def joined(stretches: Sequence[Bars]) -> Bars:
    """Bars of one symbol that follow each other, as one; a single stretch is not copied."""
    if len(stretches) == 1:
        return stretches[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in stretches]) for name, _ in stretches[0].columns()
    }
    return replace(stretches[0], **columns)


def detached(bars: Bars) -> Bars:
    """The same bars in memory of their own, so that those they are a part of can be forgotten."""
    columns: dict[str, Any] = {name: column.copy() for name, column in bars.columns()}
    return replace(bars, **columns)


def digest(bars: Bars) -> str:
    """SHA-256 in hexadecimal over symbol, interval and the bytes of every column."""
    return prefix_digests(bars, [int(bars.open_time_ns[-1]) + 1] if len(bars) else [0])[0]


def market_digest(market: Sequence[Bars]) -> str:
    """sha256 of the bars of several symbols."""
    return sha256("".join(digest(bars) for bars in market).encode()).hexdigest()


def prefix_digests(bars: Bars, ends_ns: Sequence[int]) -> list[str]:
    """`digest` of the bars that open before each of `ends_ns`, which ascend, at the cost of one pass in all."""
    assert list(ends_ns) == sorted(ends_ns), "ends ascend"
    hashes = {name: sha256() for name, _ in bars.columns()}
    digests, done = [], 0
    for rows in np.searchsorted(bars.open_time_ns, np.asarray(ends_ns, dtype=np.int64)):
        whole = sha256(f"{bars.symbol}/{bars.interval_ns}".encode())
        for name, column in bars.columns():
            hashes[name].update(np.ascontiguousarray(column[done:rows]).data)
            whole.update(f"/{name}/".encode() + hashes[name].digest())
        digests.append(whole.hexdigest())
        done = rows
    return digests
