"""Signals that arrive in the middle of a write are delivered after it."""

import signal
import threading
from collections.abc import Iterator

import pytest

from botscalp.pipeline.uninterrupted import uninterrupted


class ArrivedError(Exception):
    """A signal did."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    def arrive(number: int, frame: object) -> None:
        raise ArrivedError(number)

    before = {number: signal.signal(number, arrive) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_the_block(number: signal.Signals) -> None:
    written = []
    with pytest.raises(ArrivedError, match=str(number.value)), uninterrupted():
        signal.raise_signal(number)
        written.append("all of it")
    assert written == ["all of it"]
    with pytest.raises(ArrivedError):
        signal.raise_signal(number)  # and the old handlers are back


def test_an_error_in_the_block_does_not_swallow_the_signal() -> None:
    with pytest.raises(ArrivedError) as raised, uninterrupted():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("the write failed")
    assert isinstance(raised.value.__context__, ValueError)


def test_without_a_signal_nothing_happens() -> None:
    with uninterrupted():
        pass
    found = []

    def elsewhere() -> None:
        with uninterrupted():
            found.append("written")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == ["written"]
