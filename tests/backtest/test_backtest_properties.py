"""What holds for every market and every setting."""

from dataclasses import replace

import numpy as np
import pandas as pd
from backtest_cases import backtest, noise, random_market, random_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.backtest import Backtest, PredictedBars

seeds = st.integers(0, 2**32 - 1)
many = settings(deadline=None, max_examples=200)


def drawn(seed: int) -> tuple[Backtest, PredictedBars]:
    rng = np.random.default_rng(seed)
    return random_settings(rng), random_market(rng)


def prefix(market: PredictedBars, n: int) -> PredictedBars:
    return PredictedBars(bars=market.bars[:n], p=market.p[:n], atr=market.atr[:n], window=market.window[:n])


def equity_from_trades(rules: Backtest, market: PredictedBars, trades: pd.DataFrame) -> pd.Series:
    """Cash + position x price at every close, from the list of trades alone."""
    close = pd.Series(market.bars.close, pd.to_datetime(market.bars.open_time_ns, utc=True))
    cash = pd.Series(float(rules.capital), close.index)
    position = pd.Series(0.0, close.index)
    for trade in trades.to_dict("records"):
        entry_fee = trade["size_base"] * trade["entry_price"] * rules.taker_bps / 1e4
        signed = trade["side"] * trade["size_base"]
        inside, after = close.index >= trade["entry_time"], close.index >= trade["exit_time"]
        cash[inside] -= signed * trade["entry_price"] + entry_fee
        cash[after] += signed * trade["exit_price"] - (trade["fees_quote"] - entry_fee)
        position[inside & ~after] += signed
    return cash + position * close


@many
@given(seeds)
def test_cash_and_position_make_the_equity_of_every_bar(seed: int) -> None:
    rules, market = drawn(seed)
    result = rules.run([market])
    expected = equity_from_trades(rules, market, result.trades)
    assert np.abs(result.equity_quote - expected.to_numpy()).max() < 1e-9


def test_cash_and_position_make_the_equity_of_a_long_run() -> None:
    rules, market = backtest(), noise(seed=1, days=10)
    result = rules.run([market])
    assert len(result.trades) > 100
    expected = equity_from_trades(rules, market, result.trades)
    assert np.abs(result.equity_quote - expected.to_numpy()).max() < 1e-8  # sums of prices near 60,000


@many
@given(seeds)
def test_the_parts_of_a_trade_add_up(seed: int) -> None:
    rules, market = drawn(seed)
    trades = rules.run([market]).trades
    parts = trades.gross_quote - trades.slippage_quote - trades.fees_quote - trades.funding_quote
    assert np.allclose(trades.pnl_quote, parts, rtol=0, atol=1e-9)
    moved = trades.side * trades.size_base * (trades.exit_price - trades.entry_price)
    assert np.allclose(trades.gross_quote - trades.slippage_quote, moved, rtol=0, atol=1e-9)
    assert (trades.slippage_quote >= 0).all() and (trades.fees_quote >= 0).all()


@many
@given(seeds)
def test_fills_lie_in_their_bar_widened_by_slippage(seed: int) -> None:
    rules, market = drawn(seed)
    records, bars = rules.run([market]).records, market.bars
    for rows, price in ((records["entry"], records["entry_price"]), (records["exit"], records["exit_price"])):
        slip = bars.high[rows] * (rules.slippage_bps or 0) / 1e4 + (rules.slippage_ticks or 0) * (rules.tick or 0)
        assert (price >= bars.low[rows] - slip - 1e-9).all()
        assert (price <= bars.high[rows] + slip + 1e-9).all()


@many
@given(seeds)
def test_one_position_at_a_time_and_no_longer_than_max_hold(seed: int) -> None:
    rules, market = drawn(seed)
    records, number = rules.run([market]).records, market.bars.number
    assert (number[records["entry"]] == number[records["signal"]] + 1).all()
    assert (records["signal"][1:] >= records["exit"][:-1]).all()
    assert (number[records["exit"] - 1] - number[records["entry"]] < rules.max_hold).all()


@many
@given(seeds, st.floats(0, 50), st.floats(0, 50))
def test_dearer_fees_never_earn_more(seed: int, taker: float, maker: float) -> None:
    rules, market = drawn(seed)
    cheap = rules.run([market])
    dear = replace(rules, taker_bps=rules.taker_bps + taker, maker_bps=rules.maker_bps + maker).run([market])
    assert (dear.records["entry"] == cheap.records["entry"]).all()
    assert (dear.records["pnl_quote"] <= cheap.records["pnl_quote"]).all()
    assert (dear.equity_quote <= cheap.equity_quote + 1e-9).all()


@many
@given(seeds)
def test_a_mirrored_market_swaps_longs_and_shorts(seed: int) -> None:
    """Prices P become 512 - P and p becomes 1 - p, on dyadic grids: without fees the PnL is equal, bit for bit."""
    rng = np.random.default_rng(seed)
    market = random_market(rng)
    bars = market.bars
    grid = {name: np.round(getattr(bars, name) * 64) / 64 for name in ("open", "high", "low", "close")}
    atr, p = np.round(market.atr * 64) / 64, np.round(market.p * 256) / 256
    market = replace(market, bars=replace(bars, **grid), p=p, atr=atr)
    flipped = {"open": 512 - grid["open"], "close": 512 - grid["close"]}
    flipped |= {"high": 512 - grid["low"], "low": 512 - grid["high"]}
    mirror = replace(market, bars=replace(bars, **flipped), p=1 - p)
    rules = backtest(threshold=0.5625, slippage_ticks=1.0, tick=0.25, contract=0.5, taker_bps=0.0, maker_bps=0.0)
    straight, mirrored = rules.run([market]).records, rules.run([mirror]).records
    assert (mirrored["side"] == -straight["side"]).all()
    for name in ("signal", "entry", "exit", "reason", "gross_quote", "slippage_quote", "pnl_quote"):
        assert (mirrored[name] == straight[name]).all(), name


@many
@given(seeds, st.floats(0.1, 1.0))
def test_later_bars_never_change_the_past(seed: int, share: float) -> None:
    rules, market = drawn(seed)
    n = max(2, int(share * len(market.bars)))
    whole, part = rules.run([market]), rules.run([prefix(market, n)])
    finished = part.trades[part.trades.reason != "end"]
    pd.testing.assert_frame_equal(whole.trades.iloc[: len(finished)], finished.reset_index(drop=True))
    assert (whole.equity_quote[: n - 1] == part.equity_quote[: n - 1]).all()


@many
@given(seeds)
def test_size_scales_the_money_and_nothing_else(seed: int) -> None:
    rules, market = drawn(seed)
    larger = replace(rules, contract=4 * rules.contract) if rules.contract else replace(rules, notional=4000.0)
    small, large = rules.run([market]).records, larger.run([market]).records
    for name in ("entry", "exit", "side", "reason", "entry_price", "exit_price"):
        assert (large[name] == small[name]).all(), name
    for name in ("size_base", "gross_quote", "slippage_quote", "fees_quote", "pnl_quote"):
        assert (large[name] == 4 * small[name]).all(), name
