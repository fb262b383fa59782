"""A setting that holds for every symbol, or a value for each of them."""

from collections.abc import Mapping

BySymbol = float | dict[str, float]


def of_symbol(value: BySymbol | None, symbol: str) -> float | None:
    """What holds for the symbol, None where nothing does."""
    return value[symbol] if isinstance(value, dict) else value


def times(value: BySymbol, multiple: float) -> BySymbol:
    """Every value times that."""
    if isinstance(value, dict):
        return {symbol: one * multiple for symbol, one in value.items()}
    return value * multiple


def joined(values: Mapping[str, float]) -> BySymbol:
    """The one value that holds for every symbol, if there is one."""
    return next(iter(values.values())) if len(set(values.values())) == 1 else dict(values)
