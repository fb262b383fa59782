"""What an exchange demands and charges, by symbol: each of the five settings as one value and as a value a symbol."""

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from account_cases import SYMBOLS, random_account, random_brackets, random_rules
from against_reference import difference, only_for, reference_of
from backtest_cases import backtest, noise, predicted_bars, random_market
from backtest_reference import Reference
from runs import composed_plainly
from test_backtest_golden import NONE, QUIET, SETTINGS, UP

from botscalp.backtest import Backtest, PredictedBars, cost_levels, sweep
from botscalp.backtest.settings import OF_SYMBOL
from botscalp.data.filters import SHIPPED, ExchangeFilters, read_filters
from botscalp.errors import UserError

RISING = (100.0, 106.0, 99.5, 105.5)


def by_symbol(rng: np.random.Generator, rules: Backtest) -> Backtest:
    """Each of the settings that is on becomes a value a symbol in most cases."""

    def spread(value: float | None) -> Any:
        if value is None or rng.random() < 0.3:
            return value
        return {symbol: value * float(rng.choice([0.5, 1.0, 2.0])) for symbol in SYMBOLS}

    return replace(rules, **{name: spread(getattr(rules, name)) for name in OF_SYMBOL})


def shipped_settings(**changed: Any) -> Backtest:
    return backtest(
        **{"taker_bps": None, "maker_bps": None, "filters": "binance-um", "round_prices": True, "contract": 2.0}
        | changed
    )


def two_symbols() -> list[PredictedBars]:
    rows = [QUIET, RISING, QUIET]
    return [predicted_bars(rows, [UP, NONE, NONE], 2.0, symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT")]


@pytest.mark.parametrize("accounts", [300, pytest.param(1_000, marks=pytest.mark.slow)])
def test_agrees_with_the_reference_on_random_accounts(accounts: int) -> None:
    rng = np.random.default_rng(20240103)
    different = 0
    for case in range(accounts):
        rules, market = by_symbol(rng, random_rules(rng)), random_account(rng)
        by_window = random_brackets(rng, rules)
        reference = reference_of(rules, market, by_window)
        found = difference(rules.run(market, by_window), reference)
        assert found is None, f"case {case}: {found}\n{rules}\n{by_window}\n{market}"
        alike = reference_of(only_for(rules, SYMBOLS[0]), market, by_window)
        different += difference(rules.run(market, by_window), alike) is not None
    assert different > accounts / 4, "the values of the symbols hardly matter: the first symbol's would do"


def test_the_same_value_for_each_symbol_is_the_one_value_bit_for_bit() -> None:
    rng = np.random.default_rng(21)
    for _ in range(300):
        rules, market = random_rules(rng), random_account(rng)
        given = {name: getattr(rules, name) for name in OF_SYMBOL if getattr(rules, name) is not None}
        each = replace(rules, **{name: dict.fromkeys(SYMBOLS, value) for name, value in given.items()})
        one, other = rules.run(market), each.run(market)
        assert one.records.tobytes() == other.records.tobytes()
        assert one.equity_quote.tobytes() == other.equity_quote.tobytes()
        assert each.at_exchange(SYMBOLS) == rules


def test_symbols_that_share_no_limit_trade_as_each_would_alone() -> None:
    rng = np.random.default_rng(22)
    for _ in range(100):
        alone = dict.fromkeys(
            ("max_exposure", "daily_loss_stop", "equity_fraction", "volatility_target", "kelly_fraction")
        )
        rules = by_symbol(rng, replace(random_rules(rng), **alone, notional=900.0, contract=None))
        market = random_account(rng)
        together = rules.run(market)
        for position, one in enumerate(market):
            records = only_for(rules, one.bars.symbol).run([one]).records.copy()
            records["symbol"] = position
            assert records.tobytes() == together.trades_of[position].tobytes()


def test_a_grid_over_values_by_symbol_is_one_run_after_the_other() -> None:
    rng = np.random.default_rng(23)
    for _ in range(10):
        rules, market = by_symbol(rng, random_rules(rng)), random_account(rng)
        table = sweep(market, rules, {"threshold": [0.5, 0.6]})
        for row, threshold in enumerate((0.5, 0.6)):
            assert table.net_pnl[row] == replace(rules, threshold=threshold).run(market).summary.net_pnl


def test_each_symbol_pays_its_own_fees_and_lies_on_its_own_grid() -> None:
    """Both in at an open of 100 for 2 base units, ATR 2, one tick of slippage.

    BTCUSDT, tick 0.1: in at 100.1, target 105.1, fees 2 x 100.1 x 5 bps and 2 x 105.1 x 2 bps.
    ETHUSDT, tick 0.5: in at 100.5, target 105.5, fees 2 x 100.5 x 10 bps and 2 x 105.5 x 4 bps.
    """
    rules = backtest(
        **SETTINGS
        | {"tick": {"BTCUSDT": 0.1, "ETHUSDT": 0.5}, "round_prices": True}
        | {"taker_bps": {"BTCUSDT": 5.0, "ETHUSDT": 10.0}, "maker_bps": {"BTCUSDT": 2.0, "ETHUSDT": 4.0}}
    )
    trades = rules.run(two_symbols()).trades
    assert trades.entry_price.tolist() == pytest.approx([100.1, 100.5])
    assert trades.exit_price.tolist() == pytest.approx([105.1, 105.5])
    assert trades.fees_quote.tolist() == pytest.approx([0.1001 + 0.04204, 0.201 + 0.0844])


def test_each_symbol_has_its_own_step_and_least_notional() -> None:
    """230 of notional at a fill of 100.1 is 2.297 base units: 2 in steps of 1 and 2.29 in steps of 0.01.

    200.2 and 229.2 of notional: with a least one of 201 the first is void, with one of 229.2 the second is not.
    """
    sized = SETTINGS | {"contract": None, "notional": 230.0, "step": {"BTCUSDT": 1.0, "ETHUSDT": 0.01}}
    trades = backtest(**sized).run(two_symbols()).trades
    assert trades.size_base.tolist() == pytest.approx([2.0, 2.29])
    least = {"min_notional": {"BTCUSDT": 201.0, "ETHUSDT": 229.2}}
    assert backtest(**sized, **least).run(two_symbols()).trades.symbol.tolist() == ["ETHUSDT"]


def test_filters_stand_in_for_what_is_null_and_for_nothing_else() -> None:
    rules = shipped_settings().at_exchange(("BTCUSDT", "SOLUSDT"))
    assert rules.filters is None
    assert (rules.taker_bps, rules.maker_bps) == (5.0, 2.0)  # alike for both
    assert (rules.tick, rules.step) == ({"BTCUSDT": 0.1, "SOLUSDT": 0.001}, {"BTCUSDT": 0.001, "SOLUSDT": 1.0})
    assert rules.min_notional == {"BTCUSDT": 100.0, "SOLUSDT": 5.0}
    kept = shipped_settings(step=0.5, maker_bps=2.5).at_exchange(("BTCUSDT",))
    assert (kept.step, kept.maker_bps, kept.tick) == (0.5, 2.5, 0.1)


def test_filters_of_one_symbol_are_that_symbol_s_numbers_bit_for_bit() -> None:
    market = [noise(seed=3, days=10)]
    typed = backtest(tick=0.1, step=0.001, min_notional=100.0, taker_bps=5.0, maker_bps=2.0, round_prices=True)
    asked = shipped_settings(contract=None, notional=1000.0).at_exchange(("BTCUSDT",))
    assert asked == typed
    assert len(typed.run(market).records) and asked.run(market).records.tobytes() == typed.run(market).records.tobytes()


def test_a_set_fee_below_the_exchange_s_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        shipped_settings(filters="binance-spot", taker_bps=5.0).at_exchange(("BTCUSDT",))
        assert [record.message for record in caplog.records] == [
            "backtest.taker_bps=5 is less than the 10 that binance-spot has for BTCUSDT; null takes the exchange's"
        ]
        caplog.clear()
        shipped_settings(taker_bps=6.0, step=0.0001).at_exchange(("BTCUSDT",))
        assert not caplog.records


def test_filters_of_another_market_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        shipped_settings().at_exchange(("BTCUSDT",), market="um")
        shipped_settings().at_exchange(("BTCUSDT",))
        assert not caplog.records
        shipped_settings().at_exchange(("BTCUSDT",), market="spot")
    (record,) = caplog.records
    assert "binance-um are those of market um, the bars are of spot" in record.message


def test_the_command_for_symbols_that_are_lacking_names_the_market_and_all_of_them() -> None:
    with pytest.raises(UserError) as error:
        shipped_settings().at_exchange(("BTCUSDT", "XRPUSDT"))
    assert "botscalp.ingest filters market=um symbols=[BTCUSDT,XRPUSDT] writes a file" in error.value.remedy


def test_costs_are_multiplied_symbol_by_symbol() -> None:
    rules = backtest(taker_bps={"BTCUSDT": 5.0, "ETHUSDT": 10.0}, maker_bps=2.0)
    levels = cost_levels(rules, None)
    assert levels["costs_x2"].taker_bps == {"BTCUSDT": 10.0, "ETHUSDT": 20.0}
    assert levels["costs_x1"] == rules
    assert levels["all_taker"].maker_bps == rules.taker_bps and levels["all_maker"].taker_bps == 2.0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"filters": "binance-um"}, "backtest.filters=binance-um: they lack XRPUSDT"),
        ({"filters": "binance-umm"}, "did you mean binance-um?"),
        ({"filters": None, "taker_bps": {"BTCUSDT": 5.0}, "maker_bps": 1.0, "tick": 1.0}, "has no value for XRPUSDT"),
    ],
)
def test_what_is_not_known_of_a_symbol_is_an_error(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        shipped_settings(**changed).at_exchange(("BTCUSDT", "XRPUSDT"))
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["taker_bps", "maker_bps"])
def test_a_fee_needs_a_number_or_an_exchange(name: str) -> None:
    with pytest.raises(UserError, match=f"backtest.{name}=None"):
        backtest(**{name: None})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 1, "market": "um", "as_of": "2024-01-01", "source": "x", "symbols": {}}',
        '{"schema": 2, "market": "um", "as_of": "2024-01-01", "source": "x", "symbols": {"A": {}}}',
        '{"schema": 1, "market": "um", "as_of": "2024-01-01", "source": "x", "symbols": {"A": {"tick": 0, "step": 1, '
        '"min_notional": 5, "taker_bps": 5, "maker_bps": 2}}}',
        '{"schema": 1, "market": "um", "as_of": "2024-01-01", "source": "x", "symbols": {"A": {"tick": NaN, "step": 1, '
        '"min_notional": 5, "taker_bps": 5, "maker_bps": 2}}}',
    ],
)
def test_a_file_that_holds_no_filters_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "filters.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"backtest\.filters"):
        read_filters(str(path), key="backtest.filters")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_filters_survive_their_file(tmp_path: Path, name: str) -> None:
    filters = read_filters(name, key="backtest.filters")
    path = tmp_path / "filters.json"
    path.write_text(filters.text)
    assert read_filters(str(path), key="backtest.filters") == filters
    assert set(filters.symbols) == {"BTCUSDT", "ETHUSDT", "SOLUSDT"} and filters.as_of == "2024-12-31"
    assert json.loads(SHIPPED[name].read_text()) == asdict(filters)
    assert isinstance(filters, ExchangeFilters)


def test_real_prices_and_volumes_lie_on_the_shipped_grids(real_data: Path) -> None:
    import pandas as pd

    for name, files in (("spot", "1m-2024-01_04"), ("um", "15m-2024")):
        for symbol, filters in read_filters(f"binance-{name}", key="").symbols.items():
            table = pd.read_parquet(real_data / f"binance-{name}-{symbol}-{files}.parquet")
            for columns, step in ((["open", "high", "low", "close"], filters.tick), (["volume"], filters.step)):
                steps = table[columns].to_numpy() / step
                off = int((np.abs(steps - np.rint(steps)) > 1e-3).sum())
                assert off == (29 if (name, symbol, columns[0]) == ("spot", "BTCUSDT", "volume") else 0)


def test_the_command_line_describes_both_ways() -> None:
    asked = composed_plainly("backtest=binance", "data.symbols=[BTCUSDT,ETHUSDT]")
    assert asked.backtest.min_notional == {"BTCUSDT": 100.0, "ETHUSDT": 20.0}
    assert asked.backtest.taker_bps == 5.0 and asked.backtest.round_prices
    typed = composed_plainly("backtest.tick={BTCUSDT:0.1,ETHUSDT:0.01}", "data.symbols=[BTCUSDT,ETHUSDT]")
    assert typed.backtest.tick == {"BTCUSDT": 0.1, "ETHUSDT": 0.01}
    for words, said in (
        (["backtest=binance", "data.symbols=[XRPUSDT]"], "they lack XRPUSDT"),
        (["backtest.tick={BTCUSDT:0}"], "backtest.tick.BTCUSDT=0: Input should be greater than 0"),
        (["backtest.tick=-1"], "backtest.tick=-1: Input should be greater than 0"),
        (["backtest.min_notional={ETHUSDT:1}"], "has no value for BTCUSDT"),
        (["backtest.taker_bps=null"], "backtest.taker_bps=None: a trade has its fee"),
    ):
        with pytest.raises(UserError) as error:
            composed_plainly(*words)
        assert said in str(error.value)


def test_the_reference_takes_one_set_of_rules_for_all() -> None:
    rules, market = backtest(), random_market(np.random.default_rng(1))
    assert difference(rules.run([market]), reference_of(rules, [market])) is None
    assert Reference(rules, {}, {}).each == [rules, rules]
