"""Binance's archive and public interface on loopback: real files, real sockets, and faults on request.

    with served() as server:
        server.add(originals / "BTCUSDT-1m-2024-01-01.zip", market="spot")
        server.faults[path] = ["truncated", "429"]      # the next two requests of that path; then it behaves
        ... server.url ... server.requests ...

Faults of any path: truncated (promises more than it sends), cut (a shorter file, well announced), flipped (one byte is
another), dropped (the connection closes without an answer), broken_off (it closes halfway), slow (drips), silent (says
nothing for a while), missing (404), forbidden (403), busy (429, Retry-After: 1), banned (418, Retry-After: 1), failing (503), html (200 and
a page), redirected (302 to the same file elsewhere), astray (302 in a circle). A fault that begins with "always " stays.
"""

import hashlib
import io
import json
import re
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd

FOLDERS = {"spot": "spot", "um": "futures/um", "cm": "futures/cm"}
INTERFACES = {"/api/v3/klines": "spot", "/fapi/v1/klines": "um", "/dapi/v1/klines": "cm"}
PAGE = b"<html><body>Please sign in to this network.</body></html>"
ELSEWHERE = "/elsewhere"


@dataclass
class ArchiveServer:
    """What is served, what goes wrong, and what was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """by path, without the leading slash; NAME.CHECKSUM is made of NAME unless it is here, too"""
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """by path, of GET requests, of others by "HEAD " and path; those of a checksum by its own path, those of klines by the
    interface's"""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(method, path, Range)"""
    authorizations: set[str | None] = field(default_factory=set)
    """who asked, as the header says"""
    klines: dict[tuple[str, str, str], list[list[Any]]] = field(default_factory=dict)
    """by market, symbol, interval: rows as the interface gives them"""
    most_rows: int = 1_000
    """of one answer of the interface"""
    clock: Callable[[], float] = time.time
    """what the header Date says, seconds since 1970"""
    weight: int = 2
    """of a request of klines"""
    used_weight: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """by minute of the clock; X-MBX-USED-WEIGHT-1M says what this one's is"""
    drip_bytes: int = 2_000
    pause_s: float = 0.02
    """between the pieces of a slow answer"""

    def add(self, zip_path: Path, *, market: str = "spot") -> str:
        """Serve a zip of a day or a month under its place in the archive, which is returned."""
        return self.put(zip_path.name, zip_path.read_bytes(), market=market)

    def add_csv(self, name: str, csv: bytes, *, market: str = "spot") -> str:
        """Serve a zip with this CSV; `name` is SYMBOL-INTERVAL-PERIOD."""
        return self.put(f"{name}.zip", zipped({f"{name}.csv": csv}), market=market)

    def put(self, name: str, content: bytes, *, market: str = "spot") -> str:
        """Serve these bytes as the zip of that name."""
        path = path_of(name, market=market)
        self.files[path] = content
        return path

    def gets(self, suffix: str = ".zip") -> list[str]:
        """The names that were asked for by GET, in order."""
        return [
            path.rpartition("/")[2] for method, path, _ in self.requests if method == "GET" and path.endswith(suffix)
        ]

    def content(self, path: str) -> bytes | None:
        """The bytes under a path; None where there are none."""
        path = path.removeprefix(ELSEWHERE).lstrip("/")
        if path in self.files:
            return self.files[path]
        original = path.removesuffix(".CHECKSUM")
        if original == path or original not in self.files:
            return None
        name = original.rpartition("/")[2]
        return f"{hashlib.sha256(self.files[original]).hexdigest()}  {name}\n".encode()

    def fault(self, path: str) -> str:
        """What goes wrong with this request."""
        waiting = self.faults.get(path.lstrip("/"), [])
        if not waiting:
            return ""
        return waiting[0].removeprefix("always ") if waiting[0].startswith("always ") else waiting.pop(0)


def path_of(name: str, *, market: str = "spot") -> str:
    """Where the archive keeps a zip."""
    match = re.fullmatch(r"(\w+)-(\w+)-(\d{4}-\d\d)(-\d\d)?\.zip", name)
    assert match is not None, name
    symbol, kind, _, day = match.groups()
    folder = f"data/{FOLDERS[market]}/{'daily' if day else 'monthly'}"
    return (
        f"{folder}/fundingRate/{symbol}/{name}" if kind == "fundingRate" else f"{folder}/klines/{symbol}/{kind}/{name}"
    )


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip, always the same for the same members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unzipped(content: bytes) -> bytes:
    """The one file inside."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = archive.namelist()
        return archive.read(name)


def months_csv(parquet: Path) -> dict[str, bytes]:
    """The CSVs of a file of bars as the archive would hold them, by month."""
    table = pd.read_parquet(parquet)
    table["month"] = table["open_time"].dt.strftime("%Y-%m")
    for column in ("open_time", "close_time"):
        table[column] = table[column].astype("datetime64[ms, UTC]").astype("int64")
    table["ignore"] = 0
    columns = [
        *("open_time", "open", "high", "low", "close", "volume", "close_time"),
        *("quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
    ]
    return {
        str(month): rows[columns].to_csv(index=False, header=False).encode() for month, rows in table.groupby("month")
    }


@contextmanager
def served() -> Iterator[ArchiveServer]:
    """A server that runs until the block ends."""
    state = ArchiveServer()
    server = _Server(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own would look its name up
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


def _handler(state: ArchiveServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(state.clock() if timestamp is None else timestamp)

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = urlsplit(self.path).path
            state.requests.append((self.command, path, self.headers.get("Range")))
            state.authorizations.add(self.headers.get("Authorization"))
            fault = state.fault(path if self.command == "GET" else f"{self.command} {path.lstrip('/')}")
            match fault:
                case "dropped":
                    self.close_connection = True
                    return
                case "silent":
                    time.sleep(state.pause_s)
                    self.close_connection = True
                    return
                case "missing":
                    return self.send(404, b"no such key")
                case "forbidden":
                    return self.send(403, b"not for you")
                case "busy":
                    return self.send(429, b"slow down", {"Retry-After": "1"})
                case "banned":
                    return self.send(418, b"banned", {"Retry-After": "1"})
                case "failing":
                    return self.send(503, b"try later")
                case "html":
                    return self.send(200, PAGE, {"Content-Type": "text/html"})
                case "redirected":
                    return self.send(302, b"", {"Location": f"{ELSEWHERE}{path}"})
                case "astray":
                    return self.send(302, b"", {"Location": path})
            if path in INTERFACES:
                return self.send_klines(INTERFACES[path])
            content = state.content(path)
            if content is None:
                return self.send(404, b"no such key")
            self.send_file(content, fault)

        def send_file(self, content: bytes, fault: str) -> None:
            if fault == "cut":
                content = content[: len(content) // 2]
            if fault == "flipped":
                middle = len(content) // 2
                content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
            begin, status, headers = 0, 200, {"Content-Type": "application/zip"}
            if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
                begin, status = int(wanted[1]), 206
                if begin >= len(content):
                    return self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            body = content[begin:]
            if fault in ("truncated", "broken_off"):
                sent = body[: len(body) // 2] if fault == "broken_off" else body[:-1]
                self.send(status, sent, headers, announced=len(body))
                self.close_connection = True
            elif fault == "slow":
                self.send(status, b"", headers, announced=len(body))
                for first in range(0, len(body), state.drip_bytes):
                    self.wfile.write(body[first : first + state.drip_bytes])
                    self.wfile.flush()
                    time.sleep(state.pause_s)
            else:
                self.send(status, body, headers)

        def send_klines(self, market: str) -> None:
            query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
            rows = state.klines.get((market, query["symbol"], query["interval"]))
            if rows is None:
                return self.send(400, json.dumps({"code": -1121, "msg": "Invalid symbol."}).encode())
            start, limit = int(query["startTime"]), min(int(query["limit"]), state.most_rows)
            minute = int(state.clock() // 60)
            state.used_weight[minute] += state.weight
            found = [row for row in rows if row[0] >= start][:limit]
            self.send(200, json.dumps(found).encode(), {"X-MBX-USED-WEIGHT-1M": str(state.used_weight[minute])})

        def send(
            self, status: int, body: bytes, headers: dict[str, str] | None = None, *, announced: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if announced is None else announced))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    return Handler
