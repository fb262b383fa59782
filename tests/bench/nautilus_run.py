"""nautilus-trader under our rules, in an environment of its own: `python nautilus_run.py MARKET.npz`.

The file holds the bars, p, atr and the rules as scalars. Prints the CPU seconds of `engine.run()`, which ends with figures,
and the count of closed positions.

What differs: a market order fills at the close of the signal bar, without slippage, from where stop and target are measured;
inside a bar the high comes before the low; an open beyond a level fills at the level; prices are whole tenths.
"""

import math
import sys
import time
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.events import PositionClosed, PositionOpened
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy


class Bracket(Strategy):
    """A market order with a stop and a target, of which one cancels the other; out by market after max_hold bars."""

    def __init__(self, instrument: Any, bar_type: Any, given: Any) -> None:
        super().__init__()
        self.instrument, self.bar_type = instrument, bar_type
        self.p, self.atr, self.closes = (given[name].tolist() for name in ("p", "atr", "close"))
        self.threshold, self.stop_atr, self.target_atr, self.max_hold, contract = (
            given[name].item() for name in ("threshold", "stop_atr", "target_atr", "max_hold", "contract")
        )
        self.size = instrument.make_qty(contract)
        self.row, self.entered, self.trades = -1, -1, 0
        self.held = False

    def on_start(self) -> None:
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:
        self.row += 1
        if self.held:
            if self.row - self.entered == self.max_hold:
                self.cancel_all_orders(self.instrument.id)
                self.close_all_positions(self.instrument.id)
            return
        p, atr = self.p[self.row], self.atr[self.row]
        if not 0 < atr < math.inf:
            return
        if p > self.threshold:
            self._enter(OrderSide.BUY, 1, atr)
        elif p < 1 - self.threshold:
            self._enter(OrderSide.SELL, -1, atr)

    def _enter(self, order_side: OrderSide, side: int, atr: float) -> None:
        fill = self.closes[self.row]
        bracket = self.order_factory.bracket(
            instrument_id=self.instrument.id,
            order_side=order_side,
            quantity=self.size,
            sl_trigger_price=self.instrument.make_price(fill - side * self.stop_atr * atr),
            tp_price=self.instrument.make_price(fill + side * self.target_atr * atr),
            tp_post_only=False,
        )
        self.submit_order_list(bracket)

    def on_position_opened(self, event: PositionOpened) -> None:
        self.held, self.entered = True, self.row

    def on_position_closed(self, event: PositionClosed) -> None:
        self.held, self.trades = False, self.trades + 1


def instrument_of(fee: float) -> CryptoPerpetual:
    """Its BTC perpetual, at our fee."""
    described = CryptoPerpetual.to_dict(TestInstrumentProvider.btcusdt_perp_binance())
    return CryptoPerpetual.from_dict(described | {"maker_fee": str(fee), "taker_fee": str(fee)})


def bars_of(given: Any, bar_type: Any, digits: int) -> list[Bar]:
    """The bars in its own type, each known at its close."""
    rows = zip(*(given[name].tolist() for name in ("open", "high", "low", "close", "close_time_ns")), strict=True)
    volume = Quantity(1, 3)
    return [
        Bar(bar_type, *(Price(price, digits) for price in prices), volume, time_ns, time_ns)
        for *prices, time_ns in rows
    ]


def main() -> None:
    given = np.load(sys.argv[1])
    instrument = instrument_of(given["fee"].item())
    bar_type = BarType.from_str(f"{instrument.id}-5-MINUTE-LAST-EXTERNAL")
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    capital = Money(given["capital"].item(), USDT)
    # Hedging is its faster mode here: netting keeps a snapshot of its one position for every trade.
    engine.add_venue(instrument.id.venue, OmsType.HEDGING, AccountType.MARGIN, [capital], default_leverage=Decimal(10))
    engine.add_instrument(instrument)
    engine.add_data(bars_of(given, bar_type, instrument.price_precision))
    strategy = Bracket(instrument, bar_type, given)
    engine.add_strategy(strategy)
    started = time.process_time()
    engine.run()
    print(time.process_time() - started, strategy.trades)


if __name__ == "__main__":
    main()
