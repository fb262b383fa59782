"""What kind of bars figures are of. A real market is named "real BTCUSDT 5m"; other names are of made-up bars."""

from collections.abc import Sequence

_REAL = "real "


def are_real(markets: Sequence[str]) -> bool:
    """Whether a market made all of the bars."""
    return all(market.startswith(_REAL) for market in markets)


def bars_told(markets: Sequence[str]) -> str:
    """For a line headed "Bars"."""
    names = ", ".join(market.removeprefix(_REAL) for market in markets)
    return f"REAL, {names}" if are_real(markets) else f"SIMULATED, which say nothing about a market: {names}"
