"""Bars with all that trading needs besides probabilities: their ATR, and funding rates and finer bars where asked for."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from os.path import expanduser
from pathlib import Path

import numpy as np

from botscalp import indicators
from botscalp.backtest import Backtest, Funding, PredictedBars
from botscalp.backtest.by_symbol import of_symbol
from botscalp.data.files import FileSource
from botscalp.data.funding import read_funding
from botscalp.data.manifest import covered_ns
from botscalp.data.store import ingest_command, read_manifest, series_at
from botscalp.errors import UserError
from botscalp.pipeline.scores import Scores
from botscalp.times import DAY_NS, interval_name, time_text
from botscalp.types import Bars, Float64, Int64

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Market:
    """What is traded; every tuple has an entry a symbol."""

    bars: tuple[Bars, ...]
    atr: tuple[Float64, ...]
    funding: tuple[Funding | None, ...]
    finer: tuple[Bars | None, ...]

    @classmethod
    def load(cls, bars: tuple[Bars, ...], backtest: Backtest) -> "Market":
        """The bars with what the backtest's settings name.

        Raises:
            UserError: a file of funding rates or finer bars cannot be read or does not belong to the bars, or a folder of
                the store lacks something in the middle of them, with the command that fetches it.
        """
        _check_ticks(bars, backtest)
        return cls(
            bars=bars,
            atr=tuple(indicators.atr(one, backtest.atr_span) for one in bars),
            funding=_funding(backtest.funding, bars),
            finer=_finer(backtest.finer, bars),
        )

    def predicted(self, scores: Scores, span_ns: tuple[int, int], starts_ns: Int64) -> list[PredictedBars]:
        """Each symbol's bars in the span with the probabilities known at their closes; symbols without bars there left out.

        Args:
            starts_ns: when each window's test begins: a bar lies in the last one that has.
        """
        predicted = []
        for position, bars in enumerate(self.bars):
            mine = scores.symbol == position
            p_T = np.full(len(bars), np.nan)
            p_T[np.searchsorted(bars.open_time_ns, scores.open_time_ns[mine])] = scores.p[mine]
            rows = slice(*np.searchsorted(bars.open_time_ns, span_ns))
            if rows.start == rows.stop:
                continue
            window_T = np.searchsorted(starts_ns, bars.open_time_ns[rows], side="right") - 1
            predicted.append(
                PredictedBars(
                    bars=bars[rows],
                    p=p_T[rows],
                    atr=self.atr[position][rows],
                    window=np.maximum(window_T, 0),
                    funding=self.funding[position],
                    finer=self.finer[position],
                )
            )
        return predicted


def _path(pattern: str, symbol: str) -> Path:
    return Path(expanduser(pattern.replace("{symbol}", symbol)))


def _funding(pattern: str | None, bars: Sequence[Bars]) -> tuple[Funding | None, ...]:
    if pattern is None:
        return (None,) * len(bars)
    _check_pattern("backtest.funding", pattern, bars)
    rates = tuple(Funding(*read_funding(_path(pattern, one.symbol))) for one in bars)
    for one, funding in zip(bars, rates, strict=True):
        _check_cover("backtest.funding", pattern, one, int(funding.time_ns[0]), int(funding.time_ns[-1]) + DAY_NS)
        _check_holes("backtest.funding", pattern, one, least_ns=DAY_NS)  # a rate holds for hours
    return rates


def _finer(pattern: str | None, bars: Sequence[Bars]) -> tuple[Bars | None, ...]:
    if pattern is None:
        return (None,) * len(bars)
    _check_pattern("backtest.finer", pattern, bars)
    symbols = tuple(one.symbol for one in bars)
    try:
        finer = FileSource(path=pattern, symbols=symbols, start=None, end=None).load()
    except UserError as error:
        raise error.about("backtest.finer") from None
    coarse_ns, fine_ns = bars[0].interval_ns, finer[0].interval_ns
    if fine_ns >= coarse_ns or coarse_ns % fine_ns:
        raise UserError(
            "backtest.finer",
            pattern,
            f"{interval_name(fine_ns)} bars do not lie inside {interval_name(coarse_ns)} bars",
            "give bars of a shorter interval that divides it, e.g. 1m",
        )
    for one, fine in zip(bars, finer, strict=True):
        _check_cover("backtest.finer", pattern, one, int(fine.open_time_ns[0]), int(fine.close_time_ns[-1]))
        _check_holes("backtest.finer", pattern, one, least_ns=fine_ns)
    return finer


def _check_pattern(key: str, pattern: str, bars: Sequence[Bars]) -> None:
    if len(bars) > 1 and "{symbol}" not in pattern:
        remedy = f"""put {{symbol}} where the files' names differ, and quote it: '{key}="um-{{symbol}}.parquet"'"""
        raise UserError(key, pattern, f"is one file for {len(bars)} symbols", remedy)


def _check_cover(key: str, pattern: str, bars: Bars, start_ns: int, end_ns: int) -> None:
    """Refuse a file that says nothing about the bars, and warn of one that leaves some of them out."""
    times_ns = bars.open_time_ns
    share = float(np.mean((times_ns >= start_ns) & (times_ns < end_ns)))
    if share == 0.0:
        raise UserError(key, pattern, f"holds nothing within the bars of {bars.symbol}", "name the file of their time")
    if share < 0.99:
        logger.warning("%s covers %.0f %% of the bars of %s; the others go without", key, share * 100, bars.symbol)


def _check_holes(key: str, pattern: str, bars: Bars, *, least_ns: int) -> None:
    """Refuse a folder of the store that lacks `least_ns` or more in the middle of the bars, which a file cannot tell.

    What it lacks before its first and after its last row is `_check_cover`'s: the archive may have none.
    """
    folder = _path(pattern, bars.symbol)
    if not (folder / "manifest.json").is_file():
        return
    store, series = series_at(folder)
    holes = [
        (start_ns, end_ns)
        for (_, start_ns), (end_ns, _) in pairwise(covered_ns(read_manifest(store, series)))
        if end_ns - start_ns >= least_ns
        and np.searchsorted(bars.close_time_ns, start_ns, side="right") < np.searchsorted(bars.open_time_ns, end_ns)
    ]
    if holes:
        more = f" and {len(holes) - 1} more times" if len(holes) > 1 else ""
        problem = f"has nothing from {time_text(holes[0][0])} to {time_text(holes[0][1])}{more}"
        command = ingest_command([series], store=store, start_ns=holes[0][0], end_ns=holes[-1][1])
        raise UserError(key, folder, problem, f"fetch it: {command}")


def _check_ticks(bars: Sequence[Bars], backtest: Backtest) -> None:
    """Refuse ticks that are no small part of the price: fills would come near zero, or below."""
    ticks = max(backtest.slippage_ticks or 0.0, float(backtest.round_prices))
    for one in bars:
        tick = of_symbol(backtest.tick, one.symbol)
        step = (tick or 0.0) * ticks
        lowest = float(np.min(one.low))
        if step > 0.1 * lowest:
            problem = (
                f"{step:g} of slippage or rounding is more than a tenth of {one.symbol}'s lowest price, {lowest:g}"
            )
            raise UserError("backtest.tick", tick, problem, "give the symbol's own tick, or slippage in bps")
