"""A file of the archive comes whole and verified, however the server misbehaves, or it does not come at all."""

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from server import ArchiveServer, path_of, served, zipped

from botscalp.archive.download import Archive, Fetched
from botscalp.archive.lines import FileRefusedError
from botscalp.archive.names import ArchiveFile
from botscalp.archive.web import Patience, ServerError, Web
from botscalp.data.manifest import Series
from botscalp.errors import Interrupted, UserError

FILE = ArchiveFile(Series(market="spot", symbol="BTCUSDT", interval="1m"), "2024-01-01")
CSV = b"\n".join(b"%d,42283.58,%d" % (1_704_067_200_000 + 60_000 * row, row**3 % 977) for row in range(20_000))
ZIP = zipped({FILE.member: CSV})
PATIENCE = Patience(connect_s=2, silence_s=0.2, attempt_s=5, attempts=6, backoff_s=0.01, backoff_most_s=0.05)


@dataclass
class Client:
    """An archive client with little patience, and what it was told."""

    server: ArchiveServer
    folder: Path
    patience: Patience = PATIENCE
    stop: threading.Event = field(default_factory=threading.Event)
    moved: int = 0

    def fetch(self, *accepted: str, file: ArchiveFile = FILE) -> Fetched:
        with closing(Web(key="base_url", at_once=2, patience=self.patience, stop=self.stop)) as web:
            return Archive(web, self.server.url).fetch(file, folder=self.folder, accepted=accepted, moved=self.note)

    def note(self, count: int) -> None:
        self.moved += count

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with served() as server:
        server.put(FILE.name, ZIP)
        yield server


@pytest.fixture
def client(server: ArchiveServer, tmp_path: Path) -> Client:
    return Client(server, tmp_path)


def test_names_are_those_of_the_archive() -> None:
    """The examples stand in the README of binance-public-data."""
    um, cm = (Series(market=market, symbol="BTCUSDT", interval="1h") for market in ("um", "cm"))
    funding = Series(market="um", symbol="BTCUSDT", interval="funding")
    assert FILE.path == "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip"
    assert ArchiveFile(um, "2024-01").path == "data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip"
    assert ArchiveFile(cm, "2024-01-31").path == "data/futures/cm/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01-31.zip"
    assert (
        ArchiveFile(funding, "2024-01").path
        == "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip"
    )
    assert path_of(FILE.name) == FILE.path


def test_a_file_comes_verified(client: Client) -> None:
    fetched = client.fetch()
    assert fetched.path.read_bytes() == ZIP
    assert fetched.sha256 == fetched.published_sha256 == hashlib.sha256(ZIP).hexdigest()
    assert (fetched.size_bytes, fetched.overridden, client.moved) == (len(ZIP), False, len(ZIP))
    assert client.names() == [FILE.name]


@pytest.mark.parametrize(
    "faults",
    [
        *(["truncated"], ["broken_off"], ["broken_off", "broken_off", "truncated"], ["cut"], ["flipped"], ["dropped"]),
        *(["busy"], ["failing", "failing"], ["html"], ["redirected"], ["slow"], ["silent"], ["astray", "redirected"]),
        ["dropped", "broken_off", "failing", "broken_off", "html", "redirected"],
        ["cut", "flipped"],
    ],
    ids="+".join,
)
def test_what_passes_is_survived(client: Client, faults: list[str]) -> None:
    client.server.faults[FILE.path] = list(faults)
    assert client.fetch().path.read_bytes() == ZIP
    assert client.names() == [FILE.name]
    assert client.moved == len(ZIP)
    assert client.server.faults[FILE.path] == []


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_what_passes_is_survived(client: Client, seed: int) -> None:
    random_ = random.Random(seed)
    transient = ["truncated", "broken_off", "dropped", "failing", "redirected"]
    client.server.faults[FILE.path] = [random_.choice(transient) for _ in range(3)]
    client.server.faults[f"{FILE.path}.CHECKSUM"] = [random_.choice(["dropped", "failing", "html"]) for _ in range(2)]
    assert client.fetch().path.read_bytes() == ZIP
    assert client.moved == len(ZIP)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("dropped", "asked 6 times"),
        ("failing", "answers 503 Service Unavailable, asked 6 times"),
        ("forbidden", "answers 403 Forbidden"),
        ("missing", "has gone, asked 6 times"),
        ("silent", "asked 6 times"),
        ("astray", "Exceeded 3 redirects"),
        ("html", "it is no zip, it begins with b'<html><body>"),
        ("cut", "its SHA-256 is"),
        ("flipped", "its SHA-256 is"),
    ],
)
def test_what_stays_ends_in_a_message(client: Client, fault: str, says: str) -> None:
    client.server.faults[FILE.path] = [f"always {fault}"]
    client.server.pause_s = 0.4
    with pytest.raises(FileRefusedError, match=says) as caught:
        client.fetch()
    assert "remedy" in str(caught.value) and (caught.value.key, caught.value.value) == ("file", FILE.name)
    assert FILE.name not in client.names()


def test_a_broken_download_is_resumed_where_it_broke_off(client: Client) -> None:
    client.server.faults[FILE.path] = ["broken_off"]
    client.fetch()
    ranges = [asked for method, path, asked in client.server.requests if path.endswith(".zip")]
    assert ranges[0] is None
    assert ranges[1] is not None and int(ranges[1].removeprefix("bytes=").removesuffix("-")) > 0


def test_another_run_resumes_what_was_left(client: Client) -> None:
    (client.folder / f"{FILE.name}.part").write_bytes(ZIP[:1_000])
    assert client.fetch().path.read_bytes() == ZIP
    assert [asked for method, path, asked in client.server.requests if path.endswith(".zip")] == ["bytes=1000-"]
    assert client.moved == len(ZIP)


@pytest.mark.parametrize("left", [ZIP, ZIP + b"more", b"something else", bytes(len(ZIP))])
def test_whatever_was_left_the_file_is_right(client: Client, left: bytes) -> None:
    (client.folder / f"{FILE.name}.part").write_bytes(left)
    assert client.fetch().path.read_bytes() == ZIP
    assert client.moved == len(ZIP)


def test_a_file_that_is_there_is_not_fetched_again(client: Client) -> None:
    client.fetch()
    client.fetch()
    assert client.server.gets() == [FILE.name]


def test_a_stale_checksum_is_refused_with_both_hashes_and_taken_by_name(client: Client) -> None:
    stale = "0" * 64
    client.server.files[f"{FILE.path}.CHECKSUM"] = f"{stale}  {FILE.name}\n".encode()
    with pytest.raises(UserError) as caught:
        client.fetch()
    assert caught.value.key == "file"
    assert stale in str(caught.value) and hashlib.sha256(ZIP).hexdigest() in str(caught.value)
    assert f"accept_checksum=[{FILE.name}]" in caught.value.remedy
    assert client.names() in ([], [f"{FILE.name}.part"])
    with pytest.raises(UserError):
        client.fetch("ETHUSDT-1m-2024-01-01.zip")
    fetched = client.fetch(FILE.name)
    assert fetched.path.read_bytes() == ZIP
    assert (fetched.overridden, fetched.published_sha256) == (True, stale)
    assert fetched.sha256 == hashlib.sha256(ZIP).hexdigest()


def test_a_byte_lost_on_the_way_is_not_taken_by_name(client: Client) -> None:
    client.server.files[f"{FILE.path}.CHECKSUM"] = f"{'0' * 64}  {FILE.name}\n".encode()
    client.server.faults[FILE.path] = ["flipped"]
    assert client.fetch(FILE.name).path.read_bytes() == ZIP


def test_no_checksum_is_a_reason_to_refuse(client: Client) -> None:
    client.server.faults[f"{FILE.path}.CHECKSUM"] = ["always missing"]
    with pytest.raises(UserError, match="no checksum"):
        client.fetch()
    assert client.fetch(FILE.name).published_sha256 is None


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b"0" * 64, f"{'0' * 64}  ETHUSDT-1m-2024-01-01.zip\n".encode(), b"x" * 100_000]
)
def test_what_is_no_checksum_is_not_taken_for_one(client: Client, text: bytes) -> None:
    client.server.files[f"{FILE.path}.CHECKSUM"] = text
    with pytest.raises(FileRefusedError, match=r"is no checksum|more than 1,000 bytes") as caught:
        client.fetch()
    assert client.names() == [] and f"accept_checksum=[{FILE.name}]" in caught.value.remedy
    fetched = client.fetch(FILE.name)
    assert (fetched.overridden, fetched.published_sha256) == (True, None)


@pytest.mark.parametrize("fault", ["failing", "forbidden", "dropped"])
def test_a_file_whose_length_is_not_told_is_tried_all_the_same(client: Client, fault: str) -> None:
    client.server.faults[f"HEAD {FILE.path}"] = [f"always {fault}"]
    with closing(Web(key="base_url", at_once=2, patience=PATIENCE, stop=client.stop)) as web:
        assert Archive(web, client.server.url).size_bytes(FILE) == 0
    assert client.fetch().path.read_bytes() == ZIP


def test_a_file_republished_between_checksum_and_download_comes_right(client: Client) -> None:
    old = hashlib.sha256(b"old").hexdigest()
    path = f"{FILE.path}.CHECKSUM"
    client.server.files[path] = f"{old}  {FILE.name}\n".encode()

    class Republished(dict[str, bytes]):
        def __getitem__(self, key: str) -> bytes:
            if key == FILE.path:
                self.pop(path, None)
            return super().__getitem__(key)

    client.server.files = Republished(client.server.files)
    assert client.fetch().overridden is False


def test_a_file_that_never_ends_is_given_up(client: Client) -> None:
    client.patience = replace(PATIENCE, most_bytes=1_000)
    with pytest.raises(UserError, match="longer than 1,000 bytes"):
        client.fetch()
    assert FILE.name not in client.names()


def test_a_dripping_server_costs_an_attempt_and_loses_nothing(client: Client) -> None:
    client.patience = replace(PATIENCE, attempt_s=0.05, attempts=1_000)
    client.server.drip_bytes, client.server.pause_s = len(ZIP) // 20, 0.02
    client.server.faults[FILE.path] = ["always slow"]
    assert client.fetch().path.read_bytes() == ZIP
    assert len(client.server.gets()) > 2


def test_a_server_that_asks_for_a_long_rest_is_not_waited_for(client: Client) -> None:
    client.patience = replace(PATIENCE, retry_after_most_s=0.5)
    client.server.faults[FILE.path] = ["busy"]
    with pytest.raises(ServerError, match="answers 429 Too Many Requests, and asks to wait 1 s"):
        client.fetch()


def test_what_the_server_asks_to_wait_is_waited(client: Client) -> None:
    client.server.faults[FILE.path] = ["busy"]
    began = time.monotonic()
    client.fetch()
    assert time.monotonic() - began >= 1.0


def test_no_server_ends_in_a_message(client: Client) -> None:
    client.server = ArchiveServer(url="http://127.0.0.1:9")
    with pytest.raises(ServerError, match="Connection refused, asked 6 times"):
        client.fetch()


def test_stopping_ends_a_download_and_keeps_what_came(client: Client) -> None:
    client.server.faults[FILE.path] = ["always slow"]
    client.server.drip_bytes, client.server.pause_s = 1_000, 0.05
    threading.Timer(0.5, client.stop.set).start()
    with pytest.raises(Interrupted):
        client.fetch()
    kept = (client.folder / f"{FILE.name}.part").read_bytes()
    assert 0 < len(kept) < len(ZIP) and ZIP.startswith(kept)
