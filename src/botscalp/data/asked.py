"""What a source is asked for: symbols, each named once, and the time within which bars are loaded."""

from collections.abc import Sequence

from botscalp.errors import UserError
from botscalp.times import parse_time_ns


def check_named_once(symbols: Sequence[str]) -> None:
    """Raises UserError where a symbol is named twice."""
    if len(set(symbols)) < len(symbols):
        raise UserError("data.symbols", list(symbols), "names a symbol twice", "name each symbol once")


def loaded_range_ns(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """[start, end) in nanoseconds since 1970, None where it is open.

    Raises UserError where a time cannot be read or the end does not follow the start.
    """
    start_ns = None if start is None else parse_time_ns(start, key="data.start")
    end_ns = None if end is None else parse_time_ns(end, key="data.end")
    if start_ns is not None and end_ns is not None and start_ns >= end_ns:
        raise UserError("data.end", end, f"does not follow data.start={start}", "give a later end")
    return start_ns, end_ns
