"""What an exchange demands of an order in a symbol, and what it charges: steps of price and size, the least notional, fees.

It changes with time, so each file says the day that it holds for. Two are shipped; `python -m botscalp.ingest filters`
asks the exchange for today's.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from botscalp.errors import UserError
from botscalp.options import checked, nearest
from botscalp.types import Name, NonNegative, Positive

SHIPPED = {f"binance-{market}": Path(__file__).parent / "exchange" / f"{market}.json" for market in ("spot", "um")}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Of one symbol."""

    tick: Positive
    """price step, quote currency per base unit"""
    step: Positive
    """size step of market orders and limit orders, base units"""
    min_notional: NonNegative
    """quote currency below which no order is taken"""
    taker_bps: NonNegative
    """fee per side of an order that takes, in 0.01 % of the fill's notional"""
    maker_bps: NonNegative
    """fee per side of an order that rested, likewise"""


@dataclass(frozen=True, kw_only=True)
class ExchangeFilters:
    """Of the symbols of one market, as they were on one day."""

    schema: Literal[1] = 1
    market: Name
    as_of: Name
    """UTC day that they hold for, e.g. "2024-12-31" """
    source: Name
    """where they come from"""
    symbols: dict[Name, Filters]

    def __post_init__(self) -> None:
        assert self.symbols, "filters of no symbol"

    @property
    def text(self) -> str:
        """As a file holds them; `read_filters` is the way back."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_filters(name: str, *, key: str) -> ExchangeFilters:
    """The filters of that name (SHIPPED), or of that file.

    Raises:
        UserError: there is neither, or the file does not hold filters.
    """
    path = SHIPPED.get(name, Path(name).expanduser())
    remedy = "fetch the file again: python -m botscalp.ingest filters"
    try:
        values = json.loads(path.read_text())
    except OSError:
        raise UserError(key, name, "there is no such file", f"{nearest(name, SHIPPED)}; or a file") from None
    except ValueError as error:
        raise UserError(key, name, f"is no JSON: {error}", remedy) from None
    if not isinstance(values, dict) or not values.get("symbols"):
        raise UserError(key, name, "holds no symbols", remedy)
    try:
        filters: ExchangeFilters = checked(ExchangeFilters, values)
    except UserError as error:
        raise UserError(key, name, f"{error.key}={error.value}: {error.problem}", remedy) from None
    return filters
