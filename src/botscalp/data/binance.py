"""Bars of Binance out of the store that `python -m botscalp.ingest` fills."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import expanduser
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import MinLen

from botscalp.data.asked import check_named_once, loaded_range_ns
from botscalp.data.bars import checked
from botscalp.data.grid import Grid, grid_of
from botscalp.data.manifest import INTERVALS, Series, covered_ns, uncovered_ns
from botscalp.data.resample import resample
from botscalp.data.store import ingest_command, read_bars, read_manifest
from botscalp.errors import UserError
from botscalp.times import parse_interval, time_text
from botscalp.types import Bars

logger = logging.getLogger(__name__)

FINEST = "1m"
"""the interval from which others are resampled"""


@dataclass(frozen=True, kw_only=True)
class BinanceSource:
    """Bars of one market and interval, stored as such or resampled from stored minutes."""

    store: str
    """the folder that `python -m botscalp.ingest` fills"""
    market: Literal["spot", "um", "cm"]
    """spot, or futures margined in the quote currency or in the coin"""
    symbols: Annotated[tuple[str, ...], MinLen(1)]
    """as the exchange calls them"""
    interval: str
    """the bars' length, such as 5m; resampled from 1m where it is not stored itself"""
    start: str | None
    """the first time loaded, UTC; null loads from the first bar stored"""
    end: str | None
    """the time at which loading stops, exclusive, UTC; null loads to the last bar stored"""

    def __post_init__(self) -> None:
        check_named_once(self.symbols)
        if self.interval not in INTERVALS and parse_interval(self.interval) % parse_interval(FINEST):
            problem = f"is neither published nor a multiple of {FINEST}"
            raise UserError("data.interval", self.interval, problem, f"one of {', '.join(INTERVALS)}, or 7m, 2d")
        try:
            for symbol in self.symbols:
                self._series(symbol)
        except UserError as error:
            raise error.about(f"data.{error.key}") from None
        self._range_ns()

    @property
    def real(self) -> bool:
        """Whether a market made these bars."""
        return True

    @property
    def source(self) -> str:
        """The option's name."""
        return "binance"

    def load(self) -> tuple[Bars, ...]:
        """The bars of each symbol within [start, end), in the order of `symbols`.

        Raises:
            UserError: the store lacks some of that time, with the command that fetches it, or a file is damaged.
        """
        try:
            lacking = [symbol for symbol in self.symbols if self._stored_interval(symbol) is None]
            if lacking:
                raise self._lacks(lacking)
            return tuple(self._load(symbol) for symbol in self.symbols)
        except UserError as error:
            key = "data.store" if error.key == "store" else error.key
            raise error.about(key) from None

    def _load(self, symbol: str) -> Bars:
        start_ns, end_ns = self._range_ns()
        stored = self._stored_interval(symbol)
        assert stored is not None, "what is lacking was refused before"
        series, folder = self._series(symbol, stored), self._folder()
        if stored == self.interval:
            return read_bars(folder, series, start_ns=start_ns, end_ns=end_ns)
        logger.info("%s: %s bars are resampled from the stored %s", symbol, self.interval, stored)
        grid = self._grid(symbol)
        # The first bar that opens at a time or later decides where minutes begin, and where they end.
        first_ns, until_ns = (None if time_ns is None else grid.next_ns(time_ns) for time_ns in (start_ns, end_ns))
        minutes = read_bars(folder, series, start_ns=first_ns, end_ns=until_ns)
        made = resample(minutes, grid)
        bars, whole = made.bars, made.complete
        if not whole[-1] and bars.close_time_ns[-1] > covered_ns(read_manifest(folder, series))[-1][1]:
            bars, whole = bars[:-1], whole[:-1]  # its last minutes are still to come
        if not whole.all():
            first = time_text(int(bars.open_time_ns[whole.argmin()]))
            logger.info(
                "%s: %d bars lack some of their minutes, first that of %s; kept, as the exchange does",
                *(symbol, int((~whole).sum()), first),
            )
        return checked(bars, key="data.store", value=folder)

    def _stored_interval(self, symbol: str) -> str | None:
        """The interval to read, which leaves nothing of [start, end) out: the bars' own if possible; None if none does."""
        names = [self.interval]
        if self.interval != FINEST and parse_interval(self.interval) % parse_interval(FINEST) == 0:
            names.append(FINEST)
        return next((name for name in names if self._missing(self._series(symbol, name)) == []), None)

    def _grid(self, symbol: str) -> Grid:
        """Where bars of the interval open: as stored ones do, the symbol's own or another's, of which there may be some."""
        for one in (symbol, *self.symbols):
            stored = read_manifest(self._folder(), self._series(one))
            if stored.months:
                return stored.grid
        return grid_of(parse_interval(self.interval))

    def _missing(self, series: Series) -> list[tuple[int, int]] | None:
        """The times within [start, end) of which the store knows nothing; None where it knows nothing at all."""
        manifest = read_manifest(self._folder(), series)
        covered = covered_ns(manifest)
        if not covered:
            return None
        start_ns, end_ns = self._range_ns()
        return uncovered_ns(
            manifest,
            covered[0][0] if start_ns is None else start_ns,
            covered[-1][1] if end_ns is None else end_ns,
        )

    def _lacks(self, symbols: Sequence[str]) -> UserError:
        """The error about symbols of which bars are missing, with the command that fetches them."""
        interval = self.interval if self.interval in INTERVALS else FINEST
        wanted = [self._series(symbol, interval) for symbol in symbols]
        missing = {series.symbol: self._missing(series) for series in wanted}
        problems = []
        for symbol, spans in missing.items():
            if spans is None:
                problems.append(f"holds no {interval} bars of {symbol}")
            else:
                first = f"{time_text(spans[0][0])} to {time_text(spans[0][1])}"
                more = f" and {len(spans) - 1} more times" if len(spans) > 1 else ""
                problems.append(f"has no {interval} bars of {symbol} from {first}{more}")
        start_ns, end_ns = self._range_ns()
        if None not in missing.values():
            start_ns = min(start for spans in missing.values() for start, _ in spans or ())
            # Months are asked for by when bars open, and the last one does so its own length before the end.
            end_ns = max(end for spans in missing.values() for _, end in spans or ()) - parse_interval(interval) + 1
        command = ingest_command(wanted, store=self._folder(), start_ns=start_ns, end_ns=end_ns)
        remedy = (
            f"fetch it: {command}\n  or, where the archive has none, load the rest alone with data.start and data.end"
        )
        return UserError("data.store", self._folder(), "; ".join(problems), remedy)

    def _series(self, symbol: str, interval: str | None = None) -> Series:
        return Series(market=self.market, symbol=symbol, interval=interval or self.interval)

    def _folder(self) -> Path:
        return Path(expanduser(self.store))

    def _range_ns(self) -> tuple[int | None, int | None]:
        return loaded_range_ns(self.start, self.end)
