"""`make ui`: which store and port, where the studies are, when a browser opens, and what is said where it cannot start."""

import signal
import threading
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from runs import command, quiet_libraries
from served import free_port, served
from tracked import fresh_store

from botscalp import ui
from botscalp.errors import UserError
from botscalp.pipeline.tracking import open_store
from botscalp.pipeline.tracking.store import client_of
from botscalp.pipeline.tracking.view import VIEW


@pytest.fixture(scope="module")
def store(
    once: Callable[[str, Callable[[Path], object]], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A store whose study "b" has the newest run, "a" an older one, and "empty" none."""
    with quiet_libraries():
        folder = fresh_store(once, tmp_path_factory.mktemp("store"))
        for study, start_time in (("a", 1_000), ("b", 2_000), ("empty", None)):
            client, experiment_id, _ = open_store(folder, study)
            if start_time is not None:
                client.create_run(experiment_id, start_time, tags={"level": "study", "verdict": "REJECTED"})
        yield folder


def test_the_study_with_the_newest_run_comes_first_and_each_gets_its_view(store: Path) -> None:
    with quiet_libraries():
        links = ui.links_to(store, 5123)
        client = client_of(store)
    assert list(links) == ["b", "a", "empty"]
    for name, link in links.items():
        experiment = client.get_experiment_by_name(name)
        assert link.startswith(f"http://127.0.0.1:5123/#/experiments/{experiment.experiment_id}/runs?")
        assert VIEW in experiment.tags


def test_a_port_that_is_taken_is_refused_by_name() -> None:
    with ui.listening(free_port()) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"PORT={port}: address already in use") as error:
            ui.listening(port)
    assert f"PORT={port + 1} make ui" in error.value.remedy
    with ui.listening(port):  # and one that was given back is taken at once
        pass


@pytest.mark.parametrize("text", ["", "0", "65535", "-1", "http", "5000.0"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no port"):
        ui.port_of(text)
    assert ui.port_of("5917") == 5917


def test_the_command_line_names_a_store_and_nothing_else() -> None:
    assert ui.store_of([]) == Path("mlruns")
    assert ui.store_of(["store=else/where"]) == Path("else/where")
    for word in ("study=a", "store", "store=", "--port"):
        with pytest.raises(UserError, match="no such key"):
            ui.store_of([word])


class Healthy(BaseHTTPRequestHandler):
    """Answers as MLflow does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("watched", [True, False])
def test_links_are_printed_once_it_answers_and_the_first_is_opened_where_it_is_seen(
    watched: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(ui, "watched", lambda: watched)
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.handle_request).start()
        ui.announce({"long name": "http://one", "b": "http://two"}, server.server_port)
    assert capsys.readouterr().out.splitlines() == ["long name  http://one", "b          http://two"]
    assert opened == (["http://one"] if watched else [])


@pytest.mark.parametrize(
    ("terminal", "environment", "expected"),
    [
        (True, {"DISPLAY": ":0"}, True),
        (True, {"WAYLAND_DISPLAY": "wayland-0"}, True),
        (True, {}, False),
        (False, {"DISPLAY": ":0"}, False),
        (True, {"DISPLAY": ":0", "CI": "true"}, False),
    ],
)
def test_a_browser_opens_only_where_somebody_sits_before_it(
    terminal: bool, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui.sys, "platform", "linux")
    monkeypatch.setattr(ui.sys.stdout, "isatty", lambda: terminal)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ui.watched() is expected


def test_without_runs_it_says_how_to_make_some(tmp_path: Path) -> None:
    done = command("ui", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "store=mlruns: no runs are tracked in it",
        "  remedy: make some with `train`, or name another store",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_it_serves_and_ends_quietly(store: Path) -> None:
    with served(store, studies=3) as pages:
        assert list(pages.lines) == ["b", "a", "empty"]
        root = pages.lines["b"].partition("#")[0]
        with urllib.request.urlopen(root) as answer:
            assert answer.status == 200 and b"MLflow" in answer.read()
        pages.process.send_signal(signal.SIGINT)
        printed, complaints = pages.process.communicate(timeout=60)
    assert (pages.process.returncode, printed) == (0, "")
    assert complaints.splitlines() == ["MLflow is starting ..."]


@pytest.mark.slow
def test_a_busy_port_ends_it_before_mlflow_is_started(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ui.listening(free_port()) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        done = command("ui", f"store={store}", cwd=store)
    assert done.returncode == 2 and done.stderr.startswith(f"PORT={port}: address already in use")
