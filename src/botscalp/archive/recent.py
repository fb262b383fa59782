"""The bars that the archive does not have yet, from the exchange's public interface, within its budget of weight."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import requests

from botscalp.archive.klines import parse
from botscalp.archive.web import BUSY, AgainError, Web, retry_after_s
from botscalp.archive.writing import Part, write_month
from botscalp.data.manifest import FUNDING, Series, month_span_ns, months_between
from botscalp.errors import Interrupted
from botscalp.times import SECOND_NS

logger = logging.getLogger(__name__)

BANNED = 418
INVALID = 400
MS_NS = 1_000_000
ROWS = 1_000
"""bars of one request: the most of spot, and of futures at half the weight of their 1,500"""
ANSWER_BYTES = 4 << 20
SHARE = 0.5
"""of a minute's weight that is used: others may ask from the same address"""
BAN_S = 120.0
"""the shortest ban, for one that does not say how long it is"""


@dataclass(frozen=True)
class Interface:
    """Where a market is asked, and what that weighs."""

    klines: str
    funding: str
    weight: int
    minute_weight: int
    """what one address may use in a minute"""


# developers.binance.com, the market data of spot, USD-M and COIN-M futures
INTERFACES = {
    "spot": Interface("/api/v3/klines", "", 2, 6_000),
    "um": Interface("/fapi/v1/klines", "/fapi/v1/fundingRate", 5, 2_400),
    "cm": Interface("/dapi/v1/klines", "/dapi/v1/fundingRate", 5, 2_400),
}


class Exchange:
    """The public interface of one market; one request at a time."""

    def __init__(self, web: Web, base_url: str, *, market: str, clock: Callable[[], float] = time.time) -> None:
        self.web = web
        self.base_url = base_url.rstrip("/")
        self.interface = INTERFACES[market]
        self.clock = clock
        """this machine's, in seconds since 1970"""
        self.ahead_s = 0.0
        """how far the exchange's clock is ahead of it"""
        self.used_weight = 0
        self.minute = 0
        """of the exchange's clock, in which that weight was used"""

    def now_s(self) -> float:
        """The exchange's time, as far as it has been asked."""
        return self.clock() + self.ahead_s

    def rows(self, series: Series, start_ns: int) -> list[Any]:
        """Up to ROWS closed bars, or funding rates, from `start_ns` on, each as the columns of a line.

        Raises:
            UserError: the exchange refuses, bans this address for long, or answers with something else.
        """
        params: dict[str, str | int] = {"symbol": series.symbol, "startTime": start_ns // MS_NS, "limit": ROWS}
        funding = series.interval == FUNDING
        url = f"{self.base_url}{self.interface.funding if funding else self.interface.klines}"
        found = self._asked(url, params if funding else params | {"interval": series.interval})
        try:
            if funding:
                return [[int(row["fundingTime"]), row["fundingRate"]] for row in found]
            # The last one still moves.
            return [[int(row[0]), *row[1:]] for row in found if int(row[6]) < self.now_s() * 1_000]
        except (LookupError, TypeError, ValueError):
            raise self.web.gave_up(url, f"answers with rows of another kind: {str(found)[:200]}") from None

    def _asked(self, url: str, params: dict[str, str | int]) -> list[Any]:
        def attempt() -> list[Any]:
            self._wait_for_budget()
            with self.web.asked("GET", url, params=params, allowed=(INVALID, BUSY, BANNED)) as response:
                self._note(response)
                content = self.web.body(response, most_bytes=ANSWER_BYTES)
            if response.status_code == BANNED:
                raise AgainError("answers 418: this address is banned", after_s=retry_after_s(response) or BAN_S)
            if response.status_code == BUSY:
                wait_s = retry_after_s(response)
                raise AgainError("answers 429: too many requests", after_s=self._rest_s() if wait_s is None else wait_s)
            text = content.decode(errors="replace")
            if response.status_code == INVALID:
                raise self.web.gave_up(url, f"answers 400: {text[:200]}")
            try:
                rows = json.loads(text)
            except ValueError:
                raise AgainError(f"answers with no JSON: {text[:40]!r}") from None
            if not isinstance(rows, list):
                raise self.web.gave_up(url, f"answers with no list: {text[:200]}")
            return rows

        return self.web.patiently(url, attempt)

    def _note(self, response: requests.Response) -> None:
        """Take the exchange's clock and the weight used from an answer's headers."""
        with suppress(KeyError, ValueError):  # absent, or no date
            self.ahead_s = parsedate_to_datetime(response.headers["Date"]).timestamp() - self.clock()
        self.minute = int(self.now_s() // 60)
        used = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
        self.used_weight = int(used) if used.isdecimal() else self.used_weight + self.interface.weight

    def _wait_for_budget(self) -> None:
        """Wait for the next minute where another request would take more than our share of this one's weight."""
        spent = self.used_weight + self.interface.weight > SHARE * self.interface.minute_weight
        if spent and int(self.now_s() // 60) == self.minute:
            logger.info("%d of a minute's weight are used: waiting %.0f s", self.used_weight, self._rest_s())
            if self.web.stop.wait(self._rest_s()):
                raise Interrupted

    def _rest_s(self) -> float:
        return 60 - self.now_s() % 60


def add_recent(store: Path, exchange: Exchange, series: Series, *, start_ns: int, end_ns: int) -> int:
    """Ask for the closed bars that open within [start, end), and write them as recent ones; how many there were.

    Raises:
        UserError: as `Exchange.rows`, or the bars are no valid ones.
    """
    rows: list[Any] = []
    while start_ns < end_ns:
        found = exchange.rows(series, start_ns)
        rows += [row for row in found if start_ns <= int(row[0]) * MS_NS < end_ns]
        if len(found) < ROWS:
            break
        start_ns = int(found[-1][0]) * MS_NS + 1
    if rows:
        _write(store, series, rows)
    return len(rows)


def _write(store: Path, series: Series, rows: Sequence[Sequence[Any]]) -> None:
    """The rows into their months; they speak for the time from the first to the end of the last."""
    first_ns, last_ns = int(rows[0][0]) * MS_NS, int(rows[-1][0]) * MS_NS
    end_ns = last_ns + (SECOND_NS if series.interval == FUNDING else series.interval_ns)
    for month in months_between(first_ns, last_ns + 1):  # in which bars open: the last may close in another
        low_ns, high_ns = month_span_ns(month)
        low_ns, high_ns = max(low_ns, first_ns), min(high_ns, end_ns)
        lines = [f"{','.join(map(str, row))}\n" for row in rows if low_ns <= int(row[0]) * MS_NS < high_ns]
        name, data = f"{series} {month}, recent", "".join(lines).encode()
        parsed = parse(data, series, name=name, start_ns=low_ns, end_ns=high_ns)
        part = Part(source=None, parsed=parsed, start_ns=low_ns, end_ns=high_ns)
        write_month(store, series, month, [part], complete=False)
