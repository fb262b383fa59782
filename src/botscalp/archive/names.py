"""What the archive calls its files, and how long one of them can be."""

import re
from dataclasses import dataclass

from botscalp.data.manifest import FUNDING, INTERVALS, Series, month_span_ns
from botscalp.errors import UserError
from botscalp.times import DAY_NS, parse_interval

FOLDERS = {"spot": "spot", "um": "futures/um", "cm": "futures/cm"}
"""of each market"""

LINE_BYTES = 400
"""more than a line of twelve numbers takes"""


@dataclass(frozen=True)
class ArchiveFile:
    """One zip of the archive: a month, or a day, of one series."""

    series: Series
    period: str
    """2024-01, or 2024-01-31"""

    @property
    def stem(self) -> str:
        kind = "fundingRate" if self.series.interval == FUNDING else self.series.interval
        return f"{self.series.symbol}-{kind}-{self.period}"

    @property
    def name(self) -> str:
        """The zip's own name."""
        return f"{self.stem}.zip"

    @property
    def member(self) -> str:
        """The one file inside."""
        return f"{self.stem}.csv"

    @property
    def path(self) -> str:
        """Where it lies below the archive's base URL."""
        series = self.series
        folder = f"data/{FOLDERS[series.market]}/{'monthly' if self.is_month else 'daily'}"
        if series.interval == FUNDING:
            return f"{folder}/fundingRate/{series.symbol}/{self.name}"
        return f"{folder}/klines/{series.symbol}/{series.interval}/{self.name}"

    @property
    def is_month(self) -> bool:
        return len(self.period) == len("2024-01")

    @property
    def month(self) -> str:
        return self.period[:7]

    @property
    def span_ns(self) -> tuple[int, int]:
        """[start, end) of what it speaks for."""
        return month_span_ns(self.period)

    @property
    def most_bytes(self) -> int:
        """More than its CSV can take: a line a bar, funding at most one an hour, and a header."""
        interval_ns = parse_interval("1h" if self.series.interval == FUNDING else self.series.interval)
        start_ns, end_ns = self.span_ns
        return ((end_ns - start_ns) // interval_ns + 2) * LINE_BYTES


def file_of(series: Series, name: str) -> ArchiveFile:
    """The file that a manifest calls by this name."""
    period = re.search(r"(\d{4}-\d\d(?:-\d\d)?)\.zip$", name)
    assert period is not None, name
    return ArchiveFile(series, period[1])


def series_of(*, market: str, symbol: str, interval: str, kind: str) -> Series:
    """What a user asks for.

    Raises:
        UserError: the archive has no such thing.
    """
    if kind == FUNDING:
        if market == "spot":
            raise UserError("market", market, "spot pays no funding", "kind=funding market=um")
        return Series(market=market, symbol=symbol, interval=FUNDING)
    if kind != "klines":
        raise UserError("kind", kind, "no such kind", "klines or funding")
    series = Series(market=market, symbol=symbol, interval=interval)
    if interval not in INTERVALS:
        remedy = f"one of {', '.join(INTERVALS)}; others, such as 7m, are made of 1m bars as they are read"
        raise UserError("interval", interval, "is not ingested", remedy)
    if interval == "1s" and market != "spot":
        raise UserError("interval", interval, "the archive has seconds of spot alone", "interval=1m, or market=spot")
    return series


def has_days(series: Series) -> bool:
    """Whether the archive keeps files of single days; of funding, and of bars longer than a day, it keeps months alone.

    So say the intervals of Binance's own script, github.com/binance/binance-public-data, python/enums.py.
    """
    return series.interval != FUNDING and series.interval_ns <= DAY_NS
