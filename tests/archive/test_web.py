"""What one attempt at a server, and many, come to."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from botscalp.archive.web import AgainError, Patience, Web, without_credentials
from botscalp.errors import UserError


@pytest.fixture
def web() -> Iterator[Web]:
    patience = Patience(connect_s=2, silence_s=1, attempts=4, backoff_s=0.01)
    with closing(Web(key="base_url", at_once=1, patience=patience, stop=threading.Event())) as web:
        yield web


def test_the_backoff_begins_at_once_doubles_and_differs_from_client_to_client() -> None:
    patience = Patience(backoff_s=0.5, backoff_most_s=30)
    pauses = [[patience.pause_s(failures) for _ in range(50)] for failures in range(9)]
    for failures, some in enumerate(pauses):
        least = min(0.5 * 2**failures, 30)
        assert least <= min(some) and max(some) <= 1.5 * least and max(some) - min(some) > 0.1 * least
    assert all(max(some) <= min(later) * 1.5 for some, later in pairwise(pauses))


def test_a_server_that_stays_broken_is_asked_as_often_as_is_said_and_waited_for(web: Web) -> None:
    waited: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return False

    asked = 0

    def attempt() -> None:
        nonlocal asked
        asked += 1
        raise AgainError("answers 503")

    web.stop = Stop()
    with pytest.raises(UserError, match="answers 503, asked 4 times"):
        web.patiently("http://archive.test", attempt)
    assert asked == 4 and len(waited) == 3
    assert all(0.01 * 2**failures <= pause_s <= 0.015 * 2**failures for failures, pause_s in enumerate(waited))


@pytest.mark.parametrize("url", [f"http://{'x' * 70}.test/file", "http://[::1/file", "nowhere", "http://"])
def test_an_address_that_is_none_ends_in_a_message(web: Web, url: str) -> None:
    with pytest.raises(UserError) as caught:
        web.asked("GET", url)
    assert (caught.value.key, caught.value.value) == ("base_url", url)


def test_certificates_that_are_none_end_in_a_message(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    web.patience = replace(web.patience, attempts=1)
    with pytest.raises(UserError, match=r"none\.pem"):
        web.asked("GET", "https://127.0.0.1:9/file")


@pytest.mark.parametrize(
    ("url", "apart"),
    [
        ("https://archive.test/a", ("https://archive.test/a", None)),
        ("https://ada:hush@archive.test:1/a", ("https://archive.test:1/a", ("ada", "hush"))),
        ("https://ada:p%2Fw%40@archive.test", ("https://archive.test", ("ada", "p/w@"))),
        ("https://ada:p/w@rd@archive.test", ("https://archive.test", ("ada", "p/w@rd"))),  # as it should not be written
        ("https://token@archive.test", ("https://archive.test", ("token", ""))),
    ],
)
def test_credentials_are_no_part_of_an_address(url: str, apart: tuple[str, tuple[str, str] | None]) -> None:
    assert without_credentials(url) == apart
