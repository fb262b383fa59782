"""exchangeInfo to a file that `backtest.filters` may name, from a real server."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runs import command
from server import ArchiveServer, served

from botscalp.archive.filters import filters_of, write_filters
from botscalp.data.filters import Filters, read_filters
from botscalp.errors import UserError

SERVER_TIME_MS = 1_719_792_000_000  # 2024-07-01


def futures(symbol: str, tick: str = "0.10", step: str = "0.001", notional: str = "100") -> dict[str, Any]:
    return {
        "symbol": symbol,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": notional},
        ],
    }


def spot(symbol: str, notional: str = "NOTIONAL") -> dict[str, Any]:
    return {
        "symbol": symbol,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "stepSize": "0.00001000"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "stepSize": "0.00000000"},
            {"filterType": notional, "minNotional": "5.00000000"},
        ],
    }


def answer(*infos: dict[str, Any]) -> dict[str, Any]:
    return {"timezone": "UTC", "serverTime": SERVER_TIME_MS, "symbols": list(infos)}


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with served() as one:
        yield one


def asked(server: ArchiveServer, store: Path, *words: str) -> subprocess.CompletedProcess[str]:
    urls = [f"rest_url.{market}={server.url}" for market in ("spot", "um")]
    return command("ingest", "filters", f"store={store}", *urls, *words, cwd=store)


def test_the_command_writes_a_file_that_the_backtest_reads(server: ArchiveServer, tmp_path: Path) -> None:
    infos = answer(futures("BTCUSDT"), futures("XRPUSDT", "0.0001", "0.1", "5"), futures("ETHUSDT_240927"))
    server.files["fapi/v1/exchangeInfo"] = json.dumps(infos).encode()
    server.faults["fapi/v1/exchangeInfo"] = ["busy", "dropped", "html"]
    done = asked(server, tmp_path, "market=um", "symbols=[XRPUSDT]")
    assert done.returncode == 0, done.stderr
    assert "XRPUSDT: tick 0.0001, step 0.1, at least 5 of notional" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last == f"backtest.filters={tmp_path}/um/filters.json"
    found = read_filters(last.partition("=")[2], key="backtest.filters")
    assert (found.market, found.as_of) == ("um", "2024-07-01")
    assert found.symbols == {"XRPUSDT": Filters(tick=1e-4, step=0.1, min_notional=5, taker_bps=5, maker_bps=2)}
    assert [path.name for path in (tmp_path / "um").iterdir()] == ["filters.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["market=um", "symbols=[XRPUSD]"], "symbols=XRPUSD: is not traded on um"),
        (["market=um", "symbols=[BROKEN]"], "its filters lack 'LOT_SIZE'"),
        (["market=um", "symbols=[FREE]"], "has no price or size step"),
        (["market=cm"], "has no filters for a backtest"),
        (["market=um", "symbols=BTCUSDT"], "write a list: symbols=[BTCUSDT]"),
        (["market=spot"], "404"),
    ],
)
def test_what_the_exchange_does_not_say_is_an_error(
    server: ArchiveServer, tmp_path: Path, words: list[str], said: str
) -> None:
    broken, free = futures("BROKEN"), futures("FREE", tick="0")
    broken["filters"] = [one for one in broken["filters"] if "LOT_SIZE" not in one["filterType"]]
    server.files["fapi/v1/exchangeInfo"] = json.dumps(answer(futures("BTCUSDT"), broken, free)).encode()
    done = asked(server, tmp_path, *words)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize("name", ["NOTIONAL", "MIN_NOTIONAL"])
def test_spot_has_other_names_and_a_market_step_of_zero(name: str) -> None:
    found = filters_of(answer(spot("BTCUSDT", name)), market="spot", symbols=["BTCUSDT"], source="test")
    assert found.symbols["BTCUSDT"] == Filters(tick=0.01, step=1e-5, min_notional=5, taker_bps=10, maker_bps=10)


def test_another_answer_is_no_exchange_info() -> None:
    for wrong in ([], {"symbols": []}, {"serverTime": 1, "symbols": [{"name": "x"}]}, {"code": -1121, "msg": "no"}):
        with pytest.raises(UserError, match="no exchangeInfo"):
            filters_of(wrong, market="um", symbols=["BTCUSDT"], source="test")


def test_symbols_that_the_file_holds_stay_in_it(server: ArchiveServer, tmp_path: Path) -> None:
    """They are asked for again, so that the whole file is of one day."""
    infos = answer(futures("BTCUSDT"), futures("ETHUSDT", tick="0.01"))
    server.files["fapi/v1/exchangeInfo"] = json.dumps(infos).encode()
    assert asked(server, tmp_path, "market=um", "symbols=[BTCUSDT]").returncode == 0
    infos["symbols"][0] = futures("BTCUSDT", tick="0.20")
    server.files["fapi/v1/exchangeInfo"] = json.dumps(infos).encode()
    done = asked(server, tmp_path, "market=um", "symbols=[ETHUSDT]")
    assert done.returncode == 0, done.stderr
    found = read_filters(f"{tmp_path}/um/filters.json", key="").symbols
    assert {symbol: one.tick for symbol, one in found.items()} == {"BTCUSDT": 0.2, "ETHUSDT": 0.01}
    (tmp_path / "um/filters.json").write_text("{")
    done = asked(server, tmp_path, "market=um", "symbols=[ETHUSDT]")
    assert done.returncode == 0 and "filters.json is written anew: is no JSON" in done.stdout + done.stderr
    assert list(read_filters(f"{tmp_path}/um/filters.json", key="").symbols) == ["ETHUSDT"]


def test_a_later_file_takes_the_earlier_one_s_place(tmp_path: Path) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        path = write_filters(
            tmp_path, filters_of(answer(futures(symbol)), market="um", symbols=[symbol], source="test")
        )
    assert list(read_filters(str(path), key="").symbols) == ["ETHUSDT"]
