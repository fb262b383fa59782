"""Questions that may hang, asked beside the loop, which must not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Asked(threading.Thread, Generic[Answer]):
    """Asks again and again, `period_s` apart; `latest` is the last answer that came, `before` until one did."""

    def __init__(self, ask: Callable[[], Answer], period_s: float, before: Answer) -> None:
        super().__init__(daemon=True)
        self.latest = before
        self._ask = ask
        self._period_s = period_s
        self.start()

    def run(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # whatever was wrong this time, the thread must live for the next
                self.latest = self._ask()
            time.sleep(self._period_s)
