"""The bars that the archive lacks, from the exchange's interface: within its budget, marked, and replaced later."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from csvs import part
from published import interface_rows
from server import ArchiveServer, served

from botscalp.archive.recent import INTERFACES, SHARE, Exchange, add_recent
from botscalp.archive.web import Patience, Web
from botscalp.archive.writing import write_month
from botscalp.data.manifest import Series, month_span_ns
from botscalp.data.store import read_bars, read_manifest, read_table
from botscalp.errors import UserError

SERIES = Series(market="spot", symbol="BTCUSDT", interval="5m")
PATIENCE = Patience(connect_s=2, silence_s=1, attempts=4, backoff_s=0.01)
KLINES = "api/v3/klines"
DAY_NS = 86_400 * 10**9
START_NS, END_NS = month_span_ns("2024-01-31")[0], month_span_ns("2024-02-02")[1]


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with served() as server:
        server.klines["spot", "BTCUSDT", "5m"] = interface_rows("2024-01-31", "2024-02-01", "2024-02-02")
        yield server


@pytest.fixture
def exchange(server: ArchiveServer) -> Iterator[Exchange]:
    with closing(Web(key="rest_url", at_once=1, patience=PATIENCE, stop=threading.Event())) as web:
        yield Exchange(web, server.url, market="spot")


def test_bars_come_page_by_page_into_their_months(server: ArchiveServer, exchange: Exchange, tmp_path: Path) -> None:
    server.most_rows = 1_000
    assert add_recent(tmp_path, exchange, SERIES, start_ns=START_NS, end_ns=END_NS) == 3 * 288
    months = read_manifest(tmp_path, SERIES).months
    assert {name: (month.rows, month.recent_rows, month.complete) for name, month in months.items()} == {
        "2024-01": (288, 288, False),
        "2024-02": (576, 576, False),
    }
    assert read_table(tmp_path, SERIES, columns=["recent"])["recent"].to_numpy().all()
    expected = np.array(interface_rows("2024-01-31", "2024-02-01", "2024-02-02"))
    bars = read_bars(tmp_path, SERIES)
    assert np.array_equal(bars.close, expected[:, 4].astype(float))
    assert np.array_equal(bars.open_time_ns, expected[:, 0].astype(np.int64) * 1_000_000)


def test_more_than_a_page(server: ArchiveServer, exchange: Exchange, tmp_path: Path) -> None:
    days = [f"2024-02-{day:02}" for day in range(1, 9)]
    server.klines["spot", "BTCUSDT", "5m"] = interface_rows(*days)
    start_ns = month_span_ns("2024-02")[0]
    assert add_recent(tmp_path, exchange, SERIES, start_ns=start_ns, end_ns=start_ns + 7 * DAY_NS) == 7 * 288
    assert len(server.requests) == 3
    assert read_manifest(tmp_path, SERIES).months["2024-02"].gaps == ()


def test_the_bar_that_still_moves_is_left_out(server: ArchiveServer, exchange: Exchange, tmp_path: Path) -> None:
    """By the exchange's clock, whatever this machine's says."""
    middle_s = START_NS // 10**9 + 3_600 + 200  # in the bar that opens after an hour
    server.clock = lambda: float(middle_s)
    server.klines["spot", "BTCUSDT", "5m"] = interface_rows("2024-01-31")[:13]
    assert add_recent(tmp_path, exchange, SERIES, start_ns=START_NS, end_ns=END_NS) == 12
    server.clock = lambda: float(middle_s + 100)
    assert add_recent(tmp_path, exchange, SERIES, start_ns=START_NS + 3_600 * 10**9, end_ns=END_NS) == 1
    assert read_manifest(tmp_path, SERIES).months["2024-01"].recent_rows == 13


def test_the_archive_replaces_them(exchange: Exchange, tmp_path: Path) -> None:
    add_recent(tmp_path, exchange, SERIES, start_ns=START_NS, end_ns=END_NS)
    write_month(tmp_path, SERIES, "2024-02", [part("BTCUSDT-5m-2024-02-01.zip")], complete=False)
    month = read_manifest(tmp_path, SERIES).months["2024-02"]
    assert (month.rows, month.recent_rows) == (576, 288)
    assert [source.name for source in month.sources] == ["BTCUSDT-5m-2024-02-01.zip"]


@pytest.mark.parametrize("fault", ["busy", "banned", "failing", "dropped", "html"])
def test_what_passes_is_waited_for(server: ArchiveServer, exchange: Exchange, tmp_path: Path, fault: str) -> None:
    server.faults[KLINES] = [fault]
    began = time.monotonic()
    assert add_recent(tmp_path, exchange, SERIES, start_ns=START_NS, end_ns=END_NS) == 3 * 288
    if fault in ("busy", "banned"):
        assert time.monotonic() - began >= 1.0, "Retry-After: 1"


@pytest.mark.parametrize(
    ("fault", "says"), [("banned", "answers 418: this address is banned, and asks to wait 1 s"), ("missing", "404")]
)
def test_what_stays_ends_in_a_message(
    server: ArchiveServer, exchange: Exchange, tmp_path: Path, fault: str, says: str
) -> None:
    exchange.web.patience = replace(PATIENCE, retry_after_most_s=0.5)
    server.faults[KLINES] = [f"always {fault}"]
    with pytest.raises(UserError, match=says) as caught:
        add_recent(tmp_path, exchange, SERIES, start_ns=START_NS, end_ns=END_NS)
    assert caught.value.key == "rest_url"
    assert not read_manifest(tmp_path, SERIES).months


@pytest.mark.parametrize("row", [["x"], None, "abc", ["x"] * 12])
def test_rows_of_another_kind_end_in_a_message(
    server: ArchiveServer, exchange: Exchange, tmp_path: Path, row: Any
) -> None:
    server.files["api/v3/odd"] = json.dumps([row]).encode()
    exchange.interface = replace(exchange.interface, klines="/api/v3/odd")
    with pytest.raises(UserError, match="answers with rows of another kind"):
        add_recent(tmp_path, exchange, SERIES, start_ns=START_NS, end_ns=END_NS)


def test_headers_of_another_kind_are_no_headers(exchange: Exchange) -> None:
    answer = requests.Response()
    answer.headers.update({"Date": "some day", "X-MBX-USED-WEIGHT-1M": "much"})
    exchange._note(answer)
    assert (exchange.ahead_s, exchange.used_weight) == (0.0, exchange.interface.weight)


def test_a_symbol_that_the_exchange_does_not_know(exchange: Exchange, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Invalid symbol"):
        add_recent(tmp_path, exchange, replace(SERIES, symbol="NOSUCH"), start_ns=START_NS, end_ns=END_NS)


def test_the_minute_s_weight_is_kept_within_our_share(server: ArchiveServer, exchange: Exchange) -> None:
    """Each request takes a third of our share of a minute: the fourth one waits for the next minute to begin."""
    share = int(SHARE * INTERFACES["spot"].minute_weight)
    minute, began = 28_450_000, time.monotonic()
    server.weight = share // 3
    server.clock = exchange.clock = lambda: minute * 60 + 58.0 + time.monotonic() - began
    for _ in range(4):
        exchange.rows(SERIES, START_NS)
    assert server.used_weight == {minute: share, minute + 1: share // 3}


def test_futures_are_asked_at_their_own_place(server: ArchiveServer, tmp_path: Path) -> None:
    series = replace(SERIES, market="um")
    server.klines["um", "BTCUSDT", "5m"] = interface_rows("2024-01-31")
    with closing(Web(key="rest_url", at_once=1, patience=PATIENCE, stop=threading.Event())) as web:
        add_recent(tmp_path, Exchange(web, server.url, market="um"), series, start_ns=START_NS, end_ns=END_NS)
    assert {path for _, path, _ in server.requests} == {"/fapi/v1/klines"}
    assert read_manifest(tmp_path, series).months["2024-01"].rows == 288
