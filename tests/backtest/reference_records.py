"""What the plain reference keeps in hand, and the deliberate mistakes that it can be told to make."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from botscalp.backtest import Bracket

BUGS = (
    "entry at the signal's close",
    "ATR of the entry bar",
    "levels from the open before slippage",
    "hold off by one",
    "entry bar not watched",
    "gap through the stop fills at the stop",
    "gap through the target fills at the target",
    "target before stop",
    "no slippage on stops",
    "slippage on targets",
    "fee on one side only",
    "enters again on the exit bar",
    # beyond the classic dozen
    "void signal enters after the gap",
    "max_hold counts rows",
    "taker fee on targets",
    "a level must be crossed, not touched",
    "a threshold may be met, not passed",
    "no slippage at the end",
    "no open rules at the time-out",
    "trades on an ATR of zero",
    "no entry on the close of the exit bar",
)
ACCOUNT_BUGS = (
    "an order is never late",
    "signals replace an order under way",
    "spread is paid once",
    "stops see the middle of the spread",
    "funding is paid by who has just entered",
    "funding is not paid by who leaves at that open",
    "shorts pay funding too",
    "levels round towards the fill",
    "fills round in our favour",
    "sizes round up",
    "small orders are sent",
    "equity without open positions",
    "equity of one symbol alone",
    "Kelly stakes p",
    "exposure forgets other symbols",
    "exposure refuses instead of cutting",
    "cooldown off by one",
    "a day's loss is forgotten when it is earned back",
    "a day begins after its first close",
    "finer bars are not asked",
    "finer bars that touch both are a target",
    "a missing finer bar is passed over",
    "a spread past the stop waits for the bar",
    "the signal's window sets the bracket",
    "a target is filled by a touch",
    "a target fills beyond itself",
    "an open on a target fills it untraded",
    "finer bars fill a target by a touch",
)


@dataclass
class Bar:
    open: float
    high: float
    low: float
    close: float
    p: float
    atr: float
    window: int = 0
    finer: tuple[tuple[float, float] | None, ...] = ()
    """(high, low) of its finer bars, in order; None for one that is missing"""


@dataclass
class Order:
    signal: int
    due: int
    side: int
    p: float
    atr: float
    close: float
    equity: float
    bracket: Bracket
    rivals: "list[Order]"
    """other symbols' orders that were under way or in a position at the signal"""
    notional: float = 0.0


@dataclass
class Position:
    order: Order
    entry: int
    size: float
    price: float
    raw_price: float
    stop: float
    target: float
    cash_before: float
    fee: float
    funding: float = 0.0
    bars_seen: int = 0

    @property
    def side(self) -> int:
        return self.order.side


@dataclass
class Trade:
    symbol: int
    signal: int
    entry: int
    exit: int
    side: int
    reason: str
    entry_price: float
    exit_price: float
    size_base: float
    gross_quote: float
    slippage_quote: float
    fees_quote: float
    funding_quote: float
    pnl_quote: float


@dataclass
class Symbol:
    """Bars are keyed by their number; a number without a bar is a missing bar."""

    index: int
    bars: Mapping[int, Bar]
    funding: Mapping[int, float] = field(default_factory=dict)
    """rates by the number of the bar that opens at or after them"""
    order: Order | None = None
    position: Position | None = None
    previous: Bar | None = None
    cash: float = 0.0
    mark: float = 0.0
    rests_until: float = -math.inf
