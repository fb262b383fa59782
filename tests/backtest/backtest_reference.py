"""The fill rules once more, for eyes: a clock, an account, one event after the other. Slow, and written from the
bullets alone; it shares no line with the kernel.

`bug` names one deliberate mistake (BUGS); the tests must tell each of them from the kernel.
"""

import math
from dataclasses import dataclass

from botscalp.backtest import Backtest

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


@dataclass
class Bar:
    open: float
    high: float
    low: float
    close: float
    p: float
    atr: float


@dataclass
class Order:
    signal: int
    side: int
    atr: float
    close: float


@dataclass
class Position:
    signal: int
    entry: int
    side: int
    size: float
    price: float
    raw_price: float
    stop: float
    target: float
    cash_before: float
    fee: float
    bars_seen: int = 0


@dataclass
class Trade:
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
    pnl_quote: float


class Reference:
    """One symbol on one account. Bars are keyed by their number; a number without a bar is a missing bar."""

    def __init__(self, rules: Backtest, bars: dict[int, Bar], bug: str | None = None) -> None:
        assert bug is None or bug in BUGS
        self.rules = rules
        self.bars = bars
        self.bug = bug
        self.cash = float(rules.capital)
        self.order: Order | None = None
        self.position: Position | None = None
        self.trades: list[Trade] = []
        self.equity: dict[int, float] = {}

    def run(self) -> None:
        previous: Bar | None = None
        for number in range(min(self.bars), max(self.bars) + 1):
            if number not in self.bars:
                if self.bug != "void signal enters after the gap":
                    self.order = None
                continue
            bar = self.bars[number]
            self.at_open(number, bar, previous)
            exited_inside = self.inside(number, bar)
            self.at_close(number, bar, just_out=exited_inside)
            previous = bar

    def at_open(self, number: int, bar: Bar, previous: Bar | None) -> None:
        position = self.position
        if position is None:
            if self.order is not None:
                self.enter(number, bar, self.order)
                self.order = None
            return
        stopped = self.at_least_as_bad(position, bar.open, position.stop)
        reached = self.at_least_as_good(position, bar.open, position.target)
        held = position.bars_seen if self.bug == "max_hold counts rows" else number - position.entry
        timed_out = held >= self.rules.max_hold + (self.bug == "hold off by one")
        if timed_out and self.bug == "no open rules at the time-out":
            self.leave(number, bar.open, "timeout")
        elif stopped:
            self.leave(
                number, position.stop if self.bug == "gap through the stop fills at the stop" else bar.open, "stop"
            )
        elif reached:
            at_limit = self.bug == "gap through the target fills at the target"
            self.leave(number, position.target if at_limit else bar.open, "target")
        elif timed_out:
            self.leave(number, bar.open, "timeout")
        if self.position is None and self.bug == "enters again on the exit bar" and previous is not None:
            side = self.side_of(previous)
            if side and number - 1 in self.bars:
                self.enter(number, bar, Order(number - 1, side, previous.atr, previous.close))

    def inside(self, number: int, bar: Bar) -> bool:
        position = self.position
        if position is None or (self.bug == "entry bar not watched" and number == position.entry):
            return False
        worst, best = (bar.low, bar.high) if position.side > 0 else (bar.high, bar.low)
        stopped = self.at_least_as_bad(position, worst, position.stop)
        reached = self.at_least_as_good(position, best, position.target)
        if stopped and not (reached and self.bug == "target before stop"):
            self.leave(number, position.stop, "stop")
        elif reached:
            self.leave(number, position.target, "target")
        return self.position is None

    def at_close(self, number: int, bar: Bar, just_out: bool) -> None:
        if self.position is not None:
            self.position.bars_seen += 1
            if number == max(self.bars):
                self.leave(number, bar.close, "end")
        self.equity[number] = self.cash
        if self.position is not None:
            self.equity[number] += self.position.side * self.position.size * bar.close
            return
        side = self.side_of(bar)
        if side and not (just_out and self.bug == "no entry on the close of the exit bar"):
            self.order = Order(number, side, bar.atr, bar.close)

    def side_of(self, bar: Bar) -> int:
        if math.isnan(bar.p) or math.isnan(bar.atr) or math.isinf(bar.atr):
            return 0
        if bar.atr < 0 or (bar.atr == 0 and self.bug != "trades on an ATR of zero"):
            return 0
        threshold = self.rules.threshold
        if bar.p > threshold:
            return 1
        if bar.p < 1 - threshold:
            return -1
        if self.bug == "a threshold may be met, not passed" and bar.p == threshold:
            return 1
        return 0

    def enter(self, number: int, bar: Bar, order: Order) -> None:
        rules = self.rules
        raw = order.close if self.bug == "entry at the signal's close" else bar.open
        price = raw + order.side * self.slippage(raw)
        size = rules.contract or (rules.notional or math.nan) / price
        atr = bar.atr if self.bug == "ATR of the entry bar" else order.atr
        anchor = raw if self.bug == "levels from the open before slippage" else price
        fee = price * size * rules.taker_bps / 10_000
        self.position = Position(
            signal=order.signal,
            entry=number,
            side=order.side,
            size=size,
            price=price,
            raw_price=raw,
            stop=anchor - order.side * rules.stop_atr * atr,
            target=anchor + order.side * rules.target_atr * atr,
            cash_before=self.cash,
            fee=fee,
        )
        self.cash -= order.side * size * price + fee

    def leave(self, number: int, raw: float, reason: str) -> None:
        position, rules = self.position, self.rules
        assert position is not None
        slips = reason != "target" or self.bug == "slippage on targets"
        if (reason == "stop" and self.bug == "no slippage on stops") or (
            reason == "end" and self.bug == "no slippage at the end"
        ):
            slips = False
        price = raw - position.side * self.slippage(raw) if slips else raw
        maker = reason == "target" and self.bug != "taker fee on targets"
        fee = price * position.size * (rules.maker_bps if maker else rules.taker_bps) / 10_000
        if self.bug == "fee on one side only":
            fee = 0.0
        self.cash += position.side * position.size * price - fee
        self.trades.append(
            Trade(
                signal=position.signal,
                entry=position.entry,
                exit=number,
                side=position.side,
                reason=reason,
                entry_price=position.price,
                exit_price=price,
                size_base=position.size,
                gross_quote=position.side * position.size * (raw - position.raw_price),
                slippage_quote=position.size * (abs(position.price - position.raw_price) + abs(price - raw)),
                fees_quote=position.fee + fee,
                pnl_quote=self.cash - position.cash_before,
            )
        )
        self.position = None

    def slippage(self, price: float) -> float:
        if self.rules.slippage_bps is not None:
            return price * self.rules.slippage_bps / 10_000
        return (self.rules.slippage_ticks or 0.0) * (self.rules.tick or 0.0)

    def at_least_as_bad(self, position: Position, price: float, level: float) -> bool:
        if price == level:
            return self.bug != "a level must be crossed, not touched"
        return (price < level) == (position.side > 0)

    def at_least_as_good(self, position: Position, price: float, level: float) -> bool:
        if price == level:
            return self.bug != "a level must be crossed, not touched"
        return (price > level) == (position.side > 0)
