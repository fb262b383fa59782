"""Figures as people read them, on the terminal as on the pages: "0.5355 [0.5301, 0.5399]", "n/a" where there is none."""

from collections.abc import Mapping, Sequence


def number(value: float | None, form: str) -> str:
    """The value in that format."""
    return "n/a" if value is None else format(value, form)


def written(value: object) -> str:
    """A setting's value; of a number with many digits the first four."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def interval(ends: Sequence[float] | None, form: str) -> str:
    """ "[0.5301, 0.5399]"; nothing where there is none."""
    return "" if ends is None else f"[{format(ends[0], form)}, {format(ends[1], form)}]"


def figure(value: float | None, ends: Sequence[float] | None, form: str) -> str:
    """The value with its interval, as far as there are any."""
    return f"{number(value, form)} {interval(ends, form)}".strip()


def estimate(given: Mapping[str, float | None], form: str) -> str:
    """The same of {value, low, high}."""
    return figure(given["value"], ends_of(given), form)


def ends_of(given: Mapping[str, float | None]) -> tuple[float, float] | None:
    """The ends of {low, high}; None unless there are both."""
    low, high = given["low"], given["high"]
    return None if low is None or high is None else (low, high)
