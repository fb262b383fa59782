"""The time of day, as MLflow shows it, that no setting of the machine's clock makes jump."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""milliseconds since 1970"""


def steady_clock() -> Clock:
    """A clock that is right now, and from here on goes as evenly as the machine does: a run ends after it began."""
    ahead_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (ahead_ns + time.monotonic_ns()) // 1_000_000
