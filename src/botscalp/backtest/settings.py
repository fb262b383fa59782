"""How predictions are traded: when to enter, where to leave, what it costs and how much is at stake."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen
from numpy.typing import NDArray

from botscalp.backtest.by_symbol import BySymbol, joined, of_symbol
from botscalp.backtest.engine import Bracket, Columns, brackets_of, run
from botscalp.backtest.records import TERMS
from botscalp.backtest.result import PredictedBars, Result
from botscalp.backtest.sizing import SizingRule
from botscalp.data.filters import Filters, read_filters
from botscalp.errors import UserError
from botscalp.options import build, nearest
from botscalp.types import Count, NonNegative, Positive

logger = logging.getLogger(__name__)

BPS = 1e-4
MOST_BARS = 1_000_000
"""a hold, delay or rest: nearly ten years of 5-minute bars, and few enough for nanoseconds"""
SIZES = ("notional", "contract", "equity_fraction", "volatility_target", "kelly_fraction", "sizing")
"""settings of which a trade needs exactly one"""
BY_WINDOW = ("threshold", "stop_atr", "target_atr", "max_hold")
"""settings that may change from window to window"""


Threshold = Annotated[float, Ge(0.5), Lt(1)]
Hold = Annotated[int, Ge(1), Le(MOST_BARS)]
Steps = Positive | dict[str, Positive]
"""one for every symbol, or one for each"""
Amounts = NonNegative | dict[str, NonNegative]
"""likewise"""
OF_SYMBOL = tuple(field.name for field in fields(Filters))
"""settings that `filters` brings"""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Values to choose a window's bracket from; what is None stays as it is set."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a name that is none of these is a mistake

    threshold: Annotated[tuple[Threshold, ...], MinLen(1)] | None
    """probabilities to choose from; null, here and below, stays as it is set"""
    stop_atr: Annotated[tuple[Positive, ...], MinLen(1)] | None
    """stop distances to choose from, in ATRs of the signal bar"""
    target_atr: Annotated[tuple[Positive, ...], MinLen(1)] | None
    """target distances to choose from, in ATRs of the signal bar"""
    max_hold: Annotated[tuple[Hold, ...], MinLen(1)] | None
    """holds to choose from, in bars"""

    @property
    def grid(self) -> dict[str, tuple[float, ...]]:
        """The lists that are given."""
        return {name: values for name, values in vars(self).items() if values is not None}


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """The backtest group. The fill rules, a bullet each: `kernel.py`."""

    threshold: Threshold
    """long when p > threshold, short when p < 1 - threshold"""
    stop_atr: Positive
    """stop distance from the fill, in ATRs of the signal bar"""
    target_atr: Positive
    """target distance from the fill, in ATRs of the signal bar"""
    max_hold: Hold
    """bars a position is watched; it leaves at the open of the next one"""
    atr_span: Count
    """bars of Wilder's average; who calls `run` computes the ATR with it"""
    select: Literal["none", "validation"]
    """validation: each window's threshold and bracket are the best of `candidates` on the second half of its validation"""
    candidates: Candidates

    taker_bps: Amounts | None
    """fee per side on entries, stops, timeouts and the end of the data, in 0.01 % of the fill's notional"""
    maker_bps: Amounts | None
    """fee per side on targets, in 0.01 % of the fill's notional"""
    slippage_bps: Annotated[float, Ge(0), Lt(10_000)] | None
    """slippage of each market order in 0.01 % of its price; or slippage_ticks with tick"""
    slippage_ticks: NonNegative | None
    """slippage of each market order in ticks"""
    spread_bps: Annotated[float, Ge(0), Lt(20_000)]
    """from bid to ask, in 0.01 % of the price; bars are then mid prices"""
    through_ticks: NonNegative
    """ticks that the price must go beyond a target to fill it; at 0 it fills as it is touched"""
    funding: str | None
    """a file of funding rates, a folder of the store, or a pattern with {symbol}; who calls `run` loads it"""
    latency_bars: Annotated[int, Ge(0), Le(MOST_BARS)]
    """bars that an entry order is late"""
    finer: str | None
    """a file of finer bars, a folder of the store, or a pattern with {symbol}; who calls `run` loads it"""

    filters: str | None
    """what the exchange demands and charges, by symbol: a name of SHIPPED or a file; `at_exchange` puts it in place of what is None"""
    tick: Steps | None
    """price step, quote currency per base unit; on its own it changes nothing"""
    round_prices: bool
    """whether levels and fills lie on multiples of the tick, rounded against us"""
    step: Steps | None
    """size step in base units, rounded down to; None for any size"""
    min_notional: Amounts | None
    """quote currency below which no order is sent; None for none"""

    notional: Positive | None
    """quote currency at stake per trade; or another of SIZES"""
    contract: Positive | None
    """base units per trade"""
    equity_fraction: Positive | None
    """notional as a fraction of equity"""
    volatility_target: Positive | None
    """fraction of equity that a move by one ATR of the signal bar wins or loses"""
    kelly_fraction: Positive | None
    """notional in Kelly's stakes of an even bet: times 2q - 1 of equity; goes with max_exposure"""
    sizing: dict[str, Any] | None
    """a class of your own that sizes each order, a `SizingRule`: its `_target_` and fields"""
    max_exposure: Positive | None
    """entry notionals of all positions together, as a multiple of equity; None for no limit"""
    cooldown_bars: Annotated[int, Ge(0), Le(MOST_BARS)]
    """bars after an exit whose closes do not signal"""
    daily_loss_stop: Annotated[float, Gt(0), Lt(1)] | None
    """loss of a UTC day, as a fraction of the equity it began with, after which it trades no more; None for no limit"""
    capital: Positive
    """quote currency that equity starts from"""

    def __post_init__(self) -> None:
        self._check_sizes()
        _ = self.sizing_rule  # it is built here, so that what is wrong with it is told at once
        self._check_prices()
        self._check_candidates()

    def _check_sizes(self) -> None:
        given = {name: getattr(self, name) for name in SIZES if getattr(self, name) is not None}
        if len(given) != 1:
            shown = ", ".join(f"backtest.{name}={value}" for name, value in given.items()) or "all of them are null"
            raise UserError(
                f"backtest.{next(iter(given), SIZES[0])}",
                next(iter(given.values()), None),
                f"a trade needs one size: {shown}",
                f"set one of {', '.join(SIZES)} and the others null",
            )
        if self.kelly_fraction is not None and self.max_exposure is None:
            raise UserError(
                "backtest.max_exposure",
                None,
                f"Kelly's stake (backtest.kelly_fraction={self.kelly_fraction}) needs a cap",
                "set backtest.max_exposure to a multiple of equity, e.g. 1",
            )

    def _check_prices(self) -> None:
        for name in ("taker_bps", "maker_bps"):
            if getattr(self, name) is None and self.filters is None:
                remedy = f"set backtest.{name}, or take the exchange's: backtest.filters=binance-um"
                raise UserError(f"backtest.{name}", None, "a trade has its fee", remedy)
        if (self.slippage_bps is None) == (self.slippage_ticks is None):
            raise UserError(
                "backtest.slippage_bps",
                self.slippage_bps,
                f"slippage needs one unit, and backtest.slippage_ticks={self.slippage_ticks}",
                "set either backtest.slippage_bps or backtest.slippage_ticks (with backtest.tick), the other null",
            )
        ticks = self.slippage_ticks is not None or self.round_prices or self.through_ticks > 0
        if self.tick is None and self.filters is None and ticks:
            raise UserError(
                "backtest.tick",
                self.tick,
                f"ticks need their price, and backtest.slippage_ticks={self.slippage_ticks}, "
                f"backtest.round_prices={str(self.round_prices).lower()}, backtest.through_ticks={self.through_ticks}",
                "set backtest.tick to the symbol's price step, take the exchange's (backtest.filters), or do without these three",
            )

    def _check_candidates(self) -> None:
        if self.select == "validation" and not self.candidates.grid:
            raise UserError(
                "backtest.candidates", "{}", "nothing to choose from", "list values of threshold, stop_atr, ..."
            )

    @property
    def plain(self) -> bool:
        """Whether all that needs an account is off: the kernel then takes its shortest way."""
        return (
            self.equity_fraction is self.volatility_target is self.kelly_fraction is self.max_exposure is None
            and self.sizing is None
            and self.daily_loss_stop is self.step is None
            and not (
                self.spread_bps
                or self.latency_bars
                or self.round_prices
                or self.min_notional
                or self.cooldown_bars
                or self.through_ticks
            )
        )

    @cached_property
    def sizing_rule(self) -> SizingRule | None:
        """The rule that `sizing` describes."""
        rule: SizingRule | None = None if self.sizing is None else build(self.sizing, "backtest.sizing")
        return rule

    @property
    def bracket(self) -> Bracket:
        """What holds where no window has its own."""
        return Bracket(**{name: getattr(self, name) for name in BY_WINDOW})

    def at_exchange(self, symbols: Sequence[str], *, market: str | None = None) -> "Backtest":
        """The settings for these symbols: what `filters` says in place of each None, and what is set as it is.

        Args:
            market: the bars', where they say it; filters of another one are a warning.

        Raises:
            UserError: there are no such filters, or they or a setting by symbol lack one of the symbols.
        """
        found: dict[str, Any] = {
            name: self._joined(name, value, symbols)
            for name in OF_SYMBOL
            if isinstance(value := getattr(self, name), dict)
        }
        if self.filters is not None:
            exchange = read_filters(self.filters, key="backtest.filters")
            if market not in (None, exchange.market):
                words = "backtest.filters=%s are those of market %s, the bars are of %s: fees and steps differ"
                logger.warning(words, self.filters, exchange.market, market)
            for symbol in symbols:
                if symbol not in exchange.symbols:
                    words = f"market={exchange.market} symbols=[{','.join(symbols)}]"
                    remedy = f"python -m botscalp.ingest filters {words} writes a file to name here"
                    known = nearest(symbol, exchange.symbols)
                    raise UserError("backtest.filters", self.filters, f"they lack {symbol}", f"{known}; {remedy}")
                theirs = ", ".join(f"{name} {value:g}" for name, value in vars(exchange.symbols[symbol]).items())
                logger.info("%s of %s for %s: %s", self.filters, exchange.as_of, symbol, theirs)
            for name in OF_SYMBOL:
                of_each = {symbol: float(getattr(exchange.symbols[symbol], name)) for symbol in symbols}
                if getattr(self, name) is None:
                    found[name] = joined(of_each)
                elif name in ("taker_bps", "maker_bps", "min_notional"):
                    self._warn_of_less(name, of_each)
        return replace(self, filters=None, **found)

    def _joined(self, name: str, value: Mapping[str, float], symbols: Sequence[str]) -> BySymbol:
        for symbol in symbols:
            if symbol not in value:
                raise UserError(f"backtest.{name}", value, f"has no value for {symbol}", "give one for each symbol")
        return joined({symbol: value[symbol] for symbol in symbols})

    def _warn_of_less(self, name: str, theirs: Mapping[str, float]) -> None:
        """Say so where less is set than the exchange takes."""
        for symbol, value in theirs.items():
            mine = of_symbol(getattr(self, name), symbol)
            if mine is not None and mine < value:
                words = "backtest.%s=%g is less than the %g that %s has for %s; null takes the exchange's"
                logger.warning(words, name, mine, value, self.filters, symbol)

    def terms_of(self, symbols: Sequence[str]) -> NDArray[np.void]:
        """The settings that hold in every window, as the kernel's records of TERMS, shape (S,)."""
        assert self.filters is None, "at_exchange comes first"
        return np.array([self._terms(symbol) for symbol in symbols], TERMS)

    def _terms(self, symbol: str) -> tuple[float, ...]:
        own = {name: of_symbol(getattr(self, name), symbol) or 0.0 for name in OF_SYMBOL}
        tick, step = own["tick"], own["step"]
        rounded = tick if self.round_prices else 0.0
        values = {
            "slippage_rate": (self.slippage_bps or 0.0) * BPS,
            "slippage_price": (self.slippage_ticks or 0.0) * tick,
            "taker_rate": own["taker_bps"] * BPS,
            "maker_rate": own["maker_bps"] * BPS,
            "notional_quote": self.notional or 0.0,
            "contract_base": self.contract or 0.0,
            "capital_quote": self.capital,
            "equity_fraction": self.equity_fraction or 0.0,
            "volatility_target": self.volatility_target or 0.0,
            "kelly_fraction": self.kelly_fraction or 0.0,
            "max_exposure": self.max_exposure or np.inf,
            "daily_loss_stop": self.daily_loss_stop or np.inf,
            "half_spread": self.spread_bps * BPS / 2,
            "through_price": self.through_ticks * tick,
            "tick": rounded,
            "ticks_a_unit": _whole_inverse(rounded),
            "step": step,
            "steps_a_unit": _whole_inverse(step),
            "min_notional_quote": own["min_notional"],
            "latency_bars": self.latency_bars,
            "cooldown_bars": self.cooldown_bars,
        }
        return tuple(values[name] for name in TERMS.names or ())

    def run(self, market: Sequence[PredictedBars], by_window: Sequence[Bracket] | None = None) -> Result:
        """Trade all symbols on one account, over the whole of their bars.

        Args:
            by_window: the bracket of each window, by the numbers in `PredictedBars.window`.
        """
        assert market, "a backtest needs at least one symbol"
        columns = Columns(tuple(market), self.sizing_rule)
        brackets = brackets_of(columns, self.bracket, by_window, self.latency_bars)
        terms_S = self.terms_of([one.bars.symbol for one in market])
        return run(columns, brackets, terms_S, plain=self.plain and by_window is None)


def _whole_inverse(step: float) -> float:
    """How many steps make 1, where that is a whole number; else 0."""
    inverse = round(1.0 / step) if step > 0.0 else 0
    return float(inverse) if inverse and abs(1.0 / step - inverse) < 1e-9 * inverse else 0.0
