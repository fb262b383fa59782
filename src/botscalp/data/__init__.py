"""Where bars come from: files, a store of Binance's bars, and two synthetic markets, all of one shape."""

from typing import Protocol

from botscalp.types import Bars


class Source(Protocol):
    """What every option of the group `data` offers."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols, in the order in which `load` returns their bars."""

    @property
    def real(self) -> bool:
        """Whether a market made these bars; on synthetic ones no verdict is better than undecided."""

    @property
    def source(self) -> str:
        """The option's name: file, binance, simulated or trivial."""

    def load(self) -> tuple[Bars, ...]:
        """One `Bars` that keeps the contract per symbol. Raises UserError where that cannot be."""
