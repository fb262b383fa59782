"""The fill rules once more, for eyes, whole on one page: a clock, an account, one event after the other. Slow, and written from the
bullets alone; it shares no line with the kernel.

`bug` names one deliberate mistake (BUGS, ACCOUNT_BUGS); the tests must tell each of them from the kernel.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from reference_records import ACCOUNT_BUGS, BUGS, Bar, Order, Position, Symbol, Trade

from botscalp.backtest import Backtest, Bracket


class Reference:
    """One account. `by_window` holds each window's bracket, `bars_a_day` and number 0 a multiple of it fix the UTC day.

    `rules` may be one a symbol, which then differ in what an exchange demands and charges alone.
    """

    def __init__(
        self,
        rules: Backtest | Sequence[Backtest],
        *markets: Mapping[int, Bar],
        bug: str | None = None,
        funding: Sequence[Mapping[int, float]] = (),
        by_window: Sequence[Bracket] | None = None,
        bars_a_day: int = 288,
    ) -> None:
        assert bug is None or bug in (*BUGS, *ACCOUNT_BUGS)
        self.each = [rules] * len(markets) if isinstance(rules, Backtest) else list(rules)
        self.rules = self.each[0]
        self.bug = bug
        self.by_window = by_window
        self.bars_a_day = bars_a_day
        self.symbols = [Symbol(i, bars, funding[i] if funding else {}) for i, bars in enumerate(markets)]
        self.trades: list[Trade] = []
        self.equity: dict[int, float] = {}
        self.day = -1
        self.day_start = self.last_equity = float(self.rules.capital)
        self.day_lost = False

    def run(self) -> None:
        numbers = sorted({number for symbol in self.symbols for number in symbol.bars})
        for number in range(numbers[0], numbers[-1] + 1):
            for symbol in self.symbols:
                self.miss_or_open(symbol, number)
            just_out = [self.inside(symbol, number) for symbol in self.symbols]
            if any(number in symbol.bars for symbol in self.symbols):
                self.at_closes(number, just_out)
        self.trades.sort(key=lambda trade: (trade.signal, trade.symbol))

    # --- the open -----------------------------------------------------------------------------------------------------

    def miss_or_open(self, symbol: Symbol, number: int) -> None:
        self.rules = self.each[symbol.index]
        order = symbol.order
        if number not in symbol.bars:
            if order is not None and order.due == number and self.bug != "void signal enters after the gap":
                symbol.order = None
            return
        self.pay_funding(symbol, number)
        self.at_open(symbol, number, symbol.bars[number])

    def leave_at_once(self, symbol: Symbol, number: int, bar: Bar) -> None:
        position = symbol.position
        if position is None or not self.rules.spread_bps or self.bug == "a spread past the stop waits for the bar":
            return
        quote = self.quote(bar.open, -position.side)
        if self.at_least_as_bad(position, quote, position.stop):
            self.leave(symbol, number, bar.open, quote, "stop")

    def pay_funding(self, symbol: Symbol, number: int) -> None:
        position = symbol.position
        if position is None or number not in symbol.funding:
            return
        if self.bug == "funding is not paid by who leaves at that open" and self.leaves_at_open(symbol, number):
            return
        self.charge(symbol, position, number)

    def charge(self, symbol: Symbol, position: Position, number: int) -> None:
        side = 1 if self.bug == "shorts pay funding too" else position.side
        paid = side * position.size * symbol.bars[number].open * symbol.funding[number]
        position.funding += paid
        symbol.cash -= paid

    def leaves_at_open(self, symbol: Symbol, number: int) -> bool:
        position, bar = symbol.position, symbol.bars[number]
        assert position is not None
        quote = self.quote(bar.open, -position.side)
        return (
            self.at_least_as_bad(position, quote, position.stop)
            or self.fills_target(position, quote)
            or number - position.entry >= position.order.bracket.max_hold
        )

    def at_open(self, symbol: Symbol, number: int, bar: Bar) -> None:
        position = symbol.position
        if position is None:
            order = symbol.order
            if order is not None and (order.due <= number or self.bug == "an order is never late"):
                symbol.order = None
                self.enter(symbol, number, bar, order)
                self.leave_at_once(symbol, number, bar)
                too_early = self.bug == "funding is paid by who has just entered" and number in symbol.funding
                if too_early and symbol.position is not None:
                    self.charge(symbol, symbol.position, number)
            return
        quote = self.quote(bar.open, -position.side)
        if self.bug == "stops see the middle of the spread":
            quote = bar.open
        stopped = self.at_least_as_bad(position, quote, position.stop)
        reached = self.fills_target(position, quote)
        if self.bug == "an open on a target fills it untraded":
            reached = self.at_least_as_good(position, quote, position.target)
        held = position.bars_seen if self.bug == "max_hold counts rows" else number - position.entry
        timed_out = held >= position.order.bracket.max_hold + (self.bug == "hold off by one")
        if timed_out and self.bug == "no open rules at the time-out":
            self.leave(symbol, number, bar.open, quote, "timeout")
        elif stopped:
            if self.bug == "gap through the stop fills at the stop":
                self.leave(symbol, number, self.mid(position.stop, -position.side), position.stop, "stop")
            else:
                self.leave(symbol, number, bar.open, quote, "stop")
        elif reached:
            if self.bug == "gap through the target fills at the target":
                self.leave(symbol, number, self.mid(position.target, -position.side), position.target, "target")
            else:
                self.leave(symbol, number, bar.open, quote, "target")
        elif timed_out:
            self.leave(symbol, number, bar.open, quote, "timeout")
        if symbol.position is None and self.bug == "enters again on the exit bar" and symbol.previous is not None:
            side = self.side_of(symbol, number - 1, symbol.previous)
            if side and number - 1 in symbol.bars:
                self.enter(symbol, number, bar, self.order_of(symbol, number - 1, symbol.previous, side))

    # --- inside the bar -----------------------------------------------------------------------------------------------

    def inside(self, symbol: Symbol, number: int) -> bool:
        self.rules = self.each[symbol.index]
        position = symbol.position
        if position is None or number not in symbol.bars:
            return False
        if self.bug == "entry bar not watched" and number == position.entry:
            return False
        bar = symbol.bars[number]
        stopped, reached = self.touches(position, bar.high, bar.low)
        if stopped and reached:
            stopped = self.stop_came_first(position, bar)
        if stopped:
            self.leave(symbol, number, self.mid(position.stop, -position.side), position.stop, "stop")
        elif reached:
            price = self.traded_through(position) if self.bug == "a target fills beyond itself" else position.target
            self.leave(symbol, number, self.mid(price, -position.side), price, "target")
        return symbol.position is None

    def touches(self, position: Position, high: float, low: float) -> tuple[bool, bool]:
        worst, best = (low, high) if position.side > 0 else (high, low)
        worst, best = self.quote(worst, -position.side), self.quote(best, -position.side)
        return (
            self.at_least_as_bad(position, worst, position.stop),
            self.fills_target(position, best),
        )

    def stop_came_first(self, position: Position, bar: Bar) -> bool:
        if self.bug == "target before stop":
            return False
        for finer in () if self.bug == "finer bars are not asked" else bar.finer:
            if finer is None:
                if self.bug == "a missing finer bar is passed over":
                    continue
                return True
            stopped, reached = self.touches(position, *finer)
            if self.bug == "finer bars fill a target by a touch":
                best = finer[0] if position.side > 0 else finer[1]
                reached = self.at_least_as_good(position, self.quote(best, -position.side), position.target)
            if stopped and reached and self.bug == "finer bars that touch both are a target":
                return False
            if stopped or reached:
                return stopped
        return True

    # --- the close ----------------------------------------------------------------------------------------------------

    def at_closes(self, number: int, just_out: Sequence[bool]) -> None:
        here = [symbol for symbol in self.symbols if number in symbol.bars]
        for symbol in here:
            bar = symbol.bars[number]
            if symbol.position is not None:
                symbol.position.bars_seen += 1
                if number == max(symbol.bars):
                    self.leave(symbol, number, bar.close, self.quote(bar.close, -symbol.position.side), "end")
            symbol.mark = symbol.cash
            if symbol.position is not None:
                symbol.mark += symbol.position.side * symbol.position.size * bar.close
            symbol.previous = bar
        equity = self.rules.capital + sum(symbol.mark for symbol in self.symbols)
        self.equity[number] = equity
        self.watch_the_day(number + 1, equity)
        for symbol in here:
            bar = symbol.bars[number]
            side = self.side_of(symbol, number, bar)
            busy = symbol.order is not None and self.bug != "signals replace an order under way"
            if side == 0 or symbol.position is not None or busy or self.day_lost or number < symbol.rests_until:
                continue
            if just_out[symbol.index] and self.bug == "no entry on the close of the exit bar":
                continue
            symbol.order = self.order_of(symbol, number, bar, side)

    def watch_the_day(self, close: int, equity: float) -> None:
        """`close` counts the bars that have ended: a multiple of a day's bars is midnight."""
        day = close // self.bars_a_day
        if day > self.day:
            at_midnight = close % self.bars_a_day == 0 and self.bug != "a day begins after its first close"
            self.day, self.day_lost = day, False
            self.day_start = equity if at_midnight else self.last_equity
        limit = self.rules.daily_loss_stop
        if limit is not None:
            lost = equity <= self.day_start * (1 - limit)
            forgets = self.bug == "a day's loss is forgotten when it is earned back"
            self.day_lost = lost or (self.day_lost and not forgets)
        self.last_equity = equity

    def side_of(self, symbol: Symbol, number: int, bar: Bar) -> int:
        if math.isnan(bar.p) or math.isnan(bar.atr) or math.isinf(bar.atr):
            return 0
        if bar.atr < 0 or (bar.atr == 0 and self.bug != "trades on an ATR of zero"):
            return 0
        threshold = self.bracket_at(symbol, number).threshold
        if bar.p > threshold:
            return 1
        if bar.p < 1 - threshold:
            return -1
        if self.bug == "a threshold may be met, not passed" and bar.p == threshold:
            return 1
        return 0

    def bracket_at(self, symbol: Symbol, number: int) -> Bracket:
        """Of the window in which a signal of that bar would enter."""
        if self.by_window is None:
            return self.rules.bracket
        if self.bug == "the signal's window sets the bracket":
            return self.by_window[symbol.bars[number].window]
        later = [other for other in symbol.bars if other >= number + 1 + self.rules.latency_bars]
        return self.by_window[symbol.bars[min(later, default=max(symbol.bars))].window]

    def order_of(self, symbol: Symbol, number: int, bar: Bar, side: int) -> Order:
        equity = self.rules.capital + sum(other.mark for other in self.symbols)
        if self.bug == "equity without open positions":
            equity = self.rules.capital + sum(trade.pnl_quote for trade in self.trades)
        if self.bug == "equity of one symbol alone":
            equity = self.rules.capital + symbol.mark
        others = [other for other in self.symbols if other is not symbol]
        busy = [other.order or (other.position and other.position.order) for other in others]
        return Order(
            signal=number,
            due=number + 1 + self.rules.latency_bars,
            side=side,
            p=bar.p,
            atr=bar.atr,
            close=bar.close,
            equity=equity,
            bracket=self.bracket_at(symbol, number),
            rivals=[order for order in busy if order],
        )

    # --- fills --------------------------------------------------------------------------------------------------------

    def enter(self, symbol: Symbol, number: int, bar: Bar, order: Order) -> None:
        rules, side = self.rules, order.side
        raw = order.close if self.bug == "entry at the signal's close" else bar.open
        quote = self.quote(raw, side)
        price = self.filled(quote + side * self.slippage(quote), side)
        atr = bar.atr if self.bug == "ATR of the entry bar" else order.atr
        anchor = raw if self.bug == "levels from the open before slippage" else price
        size = self.size_of(order, price)
        if size <= 0:
            return
        order.notional = size * price
        fee = price * size * rules.taker_bps / 10_000
        symbol.position = Position(
            order=order,
            entry=number,
            size=size,
            price=price,
            raw_price=raw,
            stop=self.level(anchor - side * order.bracket.stop_atr * atr, away=-side),
            target=self.level(anchor + side * order.bracket.target_atr * atr, away=side),
            cash_before=symbol.cash,
            fee=fee,
        )
        symbol.cash -= side * size * price + fee

    def size_of(self, order: Order, price: float) -> float:
        rules = self.rules
        probability = order.p if order.side > 0 else 1 - order.p
        if rules.contract is not None:
            size = rules.contract
        elif rules.notional is not None:
            size = rules.notional / price
        elif rules.equity_fraction is not None:
            size = rules.equity_fraction * order.equity / price
        elif rules.volatility_target is not None:
            size = rules.volatility_target * order.equity / order.atr
        else:
            assert rules.kelly_fraction is not None
            stake = probability if self.bug == "Kelly stakes p" else 2 * probability - 1
            size = rules.kelly_fraction * stake * order.equity / price
        if rules.max_exposure is not None:
            taken = sum(rival.notional for rival in order.rivals)
            if self.bug == "exposure forgets other symbols":
                taken = 0.0
            whole = rules.max_exposure * order.equity
            room = (whole - taken) / price if whole - taken > whole / 1e9 else 0.0
            if self.bug == "exposure refuses instead of cutting" and size > room:
                return 0.0
            size = min(size, room)
        if rules.step is not None:
            size = on_grid(size, rules.step, up=self.bug == "sizes round up")
        if size * price < (rules.min_notional or 0.0) and self.bug != "small orders are sent":
            return 0.0
        return size

    def leave(self, symbol: Symbol, number: int, raw: float, quote: float, reason: str) -> None:
        """`raw` is the mid price, `quote` what the position's side sees of it."""
        self.rules = self.each[symbol.index]
        position, rules = symbol.position, self.rules
        assert position is not None
        slips = reason != "target" or self.bug == "slippage on targets"
        if (reason == "stop" and self.bug == "no slippage on stops") or (
            reason == "end" and self.bug == "no slippage at the end"
        ):
            slips = False
        if self.bug == "spread is paid once":
            quote = raw
        price = self.filled(quote - position.side * self.slippage(quote) if slips else quote, -position.side)
        maker = reason == "target" and self.bug != "taker fee on targets"
        fee = price * position.size * (rules.maker_bps if maker else rules.taker_bps) / 10_000
        if self.bug == "fee on one side only":
            fee = 0.0
        symbol.cash += position.side * position.size * price - fee
        worse = position.side * ((position.price - position.raw_price) + (raw - price))
        self.trades.append(
            Trade(
                symbol=symbol.index,
                signal=position.order.signal,
                entry=position.entry,
                exit=number,
                side=position.side,
                reason=reason,
                entry_price=position.price,
                exit_price=price,
                size_base=position.size,
                gross_quote=position.side * position.size * (raw - position.raw_price),
                slippage_quote=position.size * worse,
                fees_quote=position.fee + fee,
                funding_quote=position.funding,
                pnl_quote=symbol.cash - position.cash_before,
            )
        )
        symbol.position = None
        symbol.rests_until = number + rules.cooldown_bars + (self.bug == "cooldown off by one")

    # --- prices -------------------------------------------------------------------------------------------------------

    def quote(self, mid: float, side: int) -> float:
        """The ask for who buys (+1), the bid for who sells (-1)."""
        return mid * (1 + side * self.rules.spread_bps / 20_000)

    def mid(self, quote: float, side: int) -> float:
        return quote / (1 + side * self.rules.spread_bps / 20_000)

    def slippage(self, price: float) -> float:
        if self.rules.slippage_bps is not None:
            return price * self.rules.slippage_bps / 10_000
        return (self.rules.slippage_ticks or 0.0) * (self.rules.tick or 0.0)

    def filled(self, price: float, side: int) -> float:
        """On the grid, against who buys (+1) or sells (-1)."""
        if not self.rules.round_prices:
            return price
        assert self.rules.tick is not None
        return on_grid(price, self.rules.tick, up=(side > 0) != (self.bug == "fills round in our favour"))

    def level(self, price: float, away: int) -> float:
        """On the grid, away from the fill: upwards (+1) or downwards (-1)."""
        if not self.rules.round_prices:
            return price
        assert self.rules.tick is not None
        return on_grid(price, self.rules.tick, up=(away > 0) != (self.bug == "levels round towards the fill"))

    def traded_through(self, position: Position) -> float:
        """The price beyond the target at which the order that rests there is known to have filled."""
        if not self.rules.through_ticks or self.bug == "a target is filled by a touch":
            return position.target
        assert self.rules.tick is not None
        beyond = position.target + position.side * self.rules.through_ticks * self.rules.tick
        return self.level(beyond, away=position.side)

    def fills_target(self, position: Position, price: float) -> bool:
        return self.at_least_as_good(position, price, self.traded_through(position))

    def at_least_as_bad(self, position: Position, price: float, level: float) -> bool:
        if price == level:
            return self.bug != "a level must be crossed, not touched"
        return (price < level) == (position.side > 0)

    def at_least_as_good(self, position: Position, price: float, level: float) -> bool:
        if price == level:
            return self.bug != "a level must be crossed, not touched"
        return (price > level) == (position.side > 0)


def on_grid(value: float, step: float, *, up: bool) -> float:
    """A multiple of the step, in decimal; what misses one by less than a millionth of a step lies on it."""
    steps = Decimal(repr(value)) / Decimal(repr(step))
    nearest = steps.to_integral_value()
    if abs(steps - nearest) > Decimal("1e-6"):
        nearest = steps.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return float(nearest * Decimal(repr(step)))
