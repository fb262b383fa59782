"""What the exchange demands of orders today, by symbol, from its public interface; its fees are not in there.

Fees depend on the account, so those of the regular tier stand in for them, as shipped.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botscalp.archive.recent import INVALID
from botscalp.archive.web import AgainError, Web
from botscalp.data.filters import SHIPPED, ExchangeFilters, Filters, read_filters
from botscalp.errors import UserError
from botscalp.options import nearest
from botscalp.whole_files import write_whole

logger = logging.getLogger(__name__)

PATHS = {"spot": "/api/v3/exchangeInfo", "um": "/fapi/v1/exchangeInfo"}
"""developers.binance.com, "Exchange information"; sizes of the coin-margined market are contracts, which no backtest trades"""
ANSWER_BYTES = 64 << 20


def fetch_filters(web: Web, base_url: str, *, market: str, symbols: Sequence[str]) -> ExchangeFilters:
    """Ask the exchange for the filters of these symbols, with the regular tier's fees.

    Raises:
        UserError: a market or a symbol without filters, or no answer.
    """
    if market not in PATHS:
        raise UserError("market", market, "has no filters for a backtest", f"one of {', '.join(PATHS)}")
    url = f"{base_url.rstrip('/')}{PATHS[market]}"
    # Of spot's many symbols those alone; futures know no such parameter.
    params = {"symbols": json.dumps(list(symbols), separators=(",", ":"))} if market == "spot" else {}

    def attempt() -> Any:
        with web.asked("GET", url, params=params, allowed=(INVALID,)) as response:
            text = web.body(response, most_bytes=ANSWER_BYTES).decode(errors="replace")
        if response.status_code == INVALID:
            raise web.gave_up(url, f"answers 400: {text[:200]}")
        try:
            return json.loads(text)
        except ValueError:
            raise AgainError(f"answers with no JSON: {text[:40]!r}") from None

    return filters_of(web.patiently(url, attempt), market=market, symbols=symbols, source=url)


def filters_of(answer: Any, *, market: str, symbols: Sequence[str], source: str) -> ExchangeFilters:
    """The filters in an answer of exchangeInfo.

    Raises:
        UserError: a symbol is not in it, or lacks one of its filters.
    """
    try:
        infos = {info["symbol"]: info for info in answer["symbols"]}
        day = datetime.fromtimestamp(answer["serverTime"] / 1_000, UTC).date()
    except (KeyError, TypeError):
        raise UserError("rest_url", source, "answers with no exchangeInfo", "name Binance's interface") from None
    for symbol in symbols:
        if symbol not in infos:
            raise UserError("symbols", symbol, f"is not traded on {market}", nearest(symbol, infos) if infos else "")
    return ExchangeFilters(
        market=market,
        as_of=str(day),
        source=f"{source}; fees: regular tier",
        symbols={symbol: _filters(infos[symbol], market) for symbol in symbols},
    )


def _filters(info: Mapping[str, Any], market: str) -> Filters:
    found = {one["filterType"]: one for one in info["filters"]}
    fees = next(iter(read_filters(f"binance-{market}", key="market").symbols.values()))
    try:
        # Spot sends NOTIONAL, and MIN_NOTIONAL before 2023; futures MIN_NOTIONAL with another name inside.
        least = found.get("NOTIONAL") or found["MIN_NOTIONAL"]
        step, market_step = found["LOT_SIZE"]["stepSize"], found.get("MARKET_LOT_SIZE", {}).get("stepSize", 0.0)
        filters = Filters(
            tick=float(found["PRICE_FILTER"]["tickSize"]),
            step=max(float(step), float(market_step)),  # a market order's is 0 where it has none of its own
            min_notional=float(least.get("minNotional") or least["notional"]),
            taker_bps=fees.taker_bps,
            maker_bps=fees.maker_bps,
        )
    except (KeyError, ValueError) as error:
        problem = f"its filters lack {error}" if isinstance(error, KeyError) else f"its filters: {error}"
        raise UserError("symbols", info["symbol"], problem, f"use what is shipped: {', '.join(SHIPPED)}") from None
    if filters.tick <= 0.0 or filters.step <= 0.0:
        raise UserError("symbols", info["symbol"], "has no price or size step", f"use {', '.join(SHIPPED)}")
    return filters


def filters_file(store: Path, market: str) -> Path:
    """The file in the store that `backtest.filters` may name."""
    return store / market / "filters.json"


def kept_symbols(store: Path, market: str) -> list[str]:
    """The symbols of that file: asked for again with the new ones they stay in it, and all of it is of one day."""
    path = filters_file(store, market)
    if not path.is_file():
        return []
    try:
        return list(read_filters(str(path), key="store").symbols)
    except UserError as error:
        logger.warning("%s is written anew: %s", path, error.problem)
        return []


def write_filters(store: Path, filters: ExchangeFilters) -> Path:
    """The file in the store, written whole or not at all."""
    path = filters_file(store, filters.market)
    write_whole(path, filters.text)
    return path
