"""Every command of the README and the docs runs, document by document, in a copy of the project, as a reader would run it."""

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import months_csv, served

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSTALLS_OR_TESTS = {"make test", "make test-all", "make browser", "make ui"}  # this very run, or a server: see below


def commands(document: Path) -> list[str]:
    return [line for block in FENCE.findall(document.read_text()) for line in block.splitlines() if line]


@pytest.fixture
def project(tmp_path: Path, real_data: Path) -> Path:
    """A copy of the project beside a folder shared/data, with this environment as its .venv."""
    if not (ROOT / ".venv" / "dev.stamp").exists():
        pytest.skip("needs the environment that `make test-all` sets up: another one would be installed over")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data").symlink_to(real_data)
    copy = tmp_path / "botscalp"
    ignored = shutil.ignore_patterns(".venv", ".git", "mlruns", "bars", "screenshots", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=ignored)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


@pytest.fixture(scope="module")
def archive(real_data: Path) -> Iterator[str]:
    """The address of Binance's archive on loopback, with the 5m bars of spot BTCUSDT."""
    with served() as server:
        for month, csv in months_csv(real_data / "binance-spot-BTCUSDT-5m.parquet").items():
            server.add_csv(f"BTCUSDT-5m-{month}", csv)
        yield server.url


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}


def test_documents_hold_commands() -> None:
    assert {"make run", "make test", "python -m botscalp.train experiment=a10g_2025"} <= set(
        commands(ROOT / "README.md")
    )


def test_every_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        named = re.findall(r"(?:`|^)make ([a-z-]+[a-z])\b", document.read_text(), re.MULTILINE)
        assert set(named) - {"drill"} <= targets, document


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document}: {link}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "document",
    [document for document in DOCUMENTS if commands(document)],
    ids=lambda document: document.relative_to(ROOT).as_posix(),
)
def test_commands_run_in_their_order(project: Path, archive: str, document: Path, subtests: pytest.Subtests) -> None:
    for command in commands(document):
        if command not in INSTALLS_OR_TESTS:
            with subtests.test(command):
                ran(command, project, archive)


def ran(command: str, project: Path, archive: str) -> None:
    """See that the command, typed in the project, ends well."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env=environment() | {"BOTSCALP_ARCHIVE": archive},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    if "experiment=a10g_2025" in command:
        expected = "DIAGNOSIS      DATA TOO EASY" if ".audit" in command else "VERDICT        SUSPICIOUS"
        assert expected in done.stdout


@pytest.mark.slow
def test_make_ui_serves_the_runs(project: Path, archive: str) -> None:
    ran("python -m botscalp.train debug=smoke", project, archive)
    port = "5917"
    server = subprocess.Popen(
        ["make", "ui"],
        cwd=project,
        env=environment() | {"PORT": port},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert server.stdout is not None
        link = next(line for line in server.stdout if line.startswith("botscalp"))
        assert f":{port}/#/experiments/" in link and "workflowType=machine_learning" in link
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert time.monotonic() < deadline, "the server never answered"
                time.sleep(0.5)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=30)
