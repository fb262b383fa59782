"""`python -m botscalp.ingest` as a process: what it prints, two at once, and interrupted; tests/drills/ kills it at any moment."""

import signal
import subprocess
import time
from base64 import b64encode
from pathlib import Path

import pytest
from published import SERIES
from runs import arguments, command, wait_for
from server import ArchiveServer, served

from botscalp.data.store import read_manifest, stored_series


def test_the_command_says_what_it_did_and_how_to_go_on(server: ArchiveServer, tmp_path: Path) -> None:
    words = ["symbols=[BTCUSDT]", "start=2024-01", "end=2024-02", f"base_url={server.url}", "recent=false"]
    dry = command("ingest", *words, "--dry-run", cwd=tmp_path)
    assert (dry.returncode, dry.stderr) == (0, "") and "6 files to fetch" in dry.stdout
    done = command("ingest", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2024-01: 8,928 rows, 1 file" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("python -m botscalp.train data=binance ")
    wrong = command("ingest", "repot", cwd=tmp_path)
    assert wrong.returncode == 2 and "did you mean report?" in wrong.stderr
    missing = command("ingest", "symbols=[BTCUSDT]", cwd=tmp_path)
    assert missing.returncode == 2 and "start=" in missing.stderr and "Traceback" not in missing.stderr
    assert "--dry-run" in command("ingest", cwd=tmp_path).stdout


def test_a_password_in_the_address_opens_the_archive_and_is_kept_nowhere(server: ArchiveServer, tmp_path: Path) -> None:
    url = server.url.replace("//", "//ada:hush%2Fhush@")
    words = ["start=2024-01", "end=2024-01", f"base_url={url}", "recent=false"]
    done = command("ingest", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert server.authorizations == {f"Basic {b64encode(b'ada:hush/hush').decode()}"}
    for path in server.files:
        server.faults[path] = ["always forbidden"]
    refused = command("ingest", *words, "store=others", cwd=tmp_path)
    assert refused.returncode == 2 and f"{server.url}/data" in refused.stderr
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert server.url.encode() in b"".join(written), "the manifest says where the files come from"
    for text in (*written, *(said.encode() for one in (done, refused) for said in (one.stdout, one.stderr))):
        assert b"hush" not in text


def test_two_ingests_at_once_fetch_everything_once(server: ArchiveServer, tmp_path: Path) -> None:
    for path in server.files:
        server.faults[path] = ["slow"]
    words = ["start=2024-01", "end=2024-02", f"base_url={server.url}", "recent=false"]
    both = [
        subprocess.Popen(arguments("ingest", *words), cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert len(server.gets()) == len(server.files)
    assert sum("another ingest works on spot/BTCUSDT/5m: waiting for it" in text for text in said) <= 1
    assert len(read_manifest(tmp_path / "bars", SERIES).sources) == 6


def test_an_interrupted_ingest_says_how_to_go_on(server: ArchiveServer, tmp_path: Path) -> None:
    server.drip_bytes = 500
    for path in server.files:
        server.faults[path] = ["always slow"]
    words = ["start=2024-01", "end=2024-02", f"base_url={server.url}", "recent=false"]
    running = subprocess.Popen(
        arguments("ingest", *words), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for("a download", server.gets, process=running)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "To go on: python -m botscalp.ingest start=2024-01" in stderr and "Traceback" not in stderr
    assert list(tmp_path.rglob("*.part"))


def test_a_command_with_a_verb_is_named_with_it(tmp_path: Path) -> None:
    """The verb is taken away before Hydra sees the rest; without it, what is to be typed again would fetch."""
    with served() as server:
        server.faults["fapi/v1/exchangeInfo"] = ["always silent"]
        server.pause_s = 5.0
        words = ["filters", "market=um", f"rest_url.um={server.url}"]
        running = subprocess.Popen(arguments("ingest", *words), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        wait_for("a question", lambda: server.requests, process=running)
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate(timeout=20)
    assert running.returncode == 130 and "To go on: python -m botscalp.ingest filters market=um" in stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["start=2024-01", "store=file"], "store=file: cannot be used: [Errno 20] Not a directory"),
        (["start=2024-01", "store=/proc/none"], "store=/proc/none: cannot be used"),
        (["report", "symbols=BTCUSDT"], "write a list: symbols=[BTCUSDT]"),
        (["report", "interval=[5m]"], "interval=['5m']"),
    ],
)
def test_what_cannot_be_is_a_message(tmp_path: Path, words: list[str], says: str) -> None:
    (tmp_path / "file").touch()
    done = command("ingest", *words, "base_url=http://127.0.0.1:9", cwd=tmp_path)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_the_store_may_lie_at_home(server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["start=2024-01", "end=2024-01", f"base_url={server.url}", "recent=false", 'store="~/kept"']
    assert command("ingest", *words, cwd=tmp_path).returncode == 0
    assert stored_series(tmp_path / "kept") == [SERIES] and not (tmp_path / "~").exists()
    assert "kept/spot/BTCUSDT/5m/health.json" in command("ingest", "report", 'store="~/kept"', cwd=tmp_path).stdout
