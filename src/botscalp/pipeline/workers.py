"""Numbered tasks, several at once in processes; what each has come to is waited for in the tasks' order.

A task gives nothing back: it leaves its result where the parent finds it, so nothing big travels between processes and
what is finished outlives them. No worker outlives the parent, however that one ends.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol

from botscalp.errors import UserError
from botscalp.shortages import shortage

Say = Callable[..., None]
Work = Callable[[int, Say], None]
"""does the task of that number, and may say in between how far it has come"""
Start = Literal["fork", "spawn"]
_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class Listener(Protocol):
    """Who is told how the tasks go, in the parent's process."""

    def started(self, number: int) -> None: ...
    def said(self, number: int, *words: Any) -> None: ...
    def finished(self, number: int) -> None: ...


@contextmanager
def done_in_order(
    work: Work, titles: Sequence[str], listener: Listener, *, workers: int, start: Start
) -> Iterator[Iterator[None]]:
    """Do a task for each title while the block lasts; the iterator's n-th item comes once the n-th task is done.

    One worker is this process, and works when it is asked. Several start at once and run ahead; they end with the block.

    Args:
        start: fork takes no time and copies nothing, and is safe as long as no thread of this process holds what the
            work needs; a GPU allows spawn alone, which pickles `work` once a worker.

    Raises:
        UserError: a worker was ended from outside, most likely for want of memory.
    """
    workers = min(workers, len(titles))
    if workers < 2:
        yield _done_here(work, len(titles), listener)
        return
    context = multiprocessing.get_context("fork") if start == "fork" else multiprocessing.get_context("spawn")
    taken = context.Value("q", 0)  # a spawned worker looks for it when it is ready, so it must last as long as they do
    crew: dict[Connection, BaseProcess] = {}
    try:
        with _signals_held():
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process: BaseProcess = context.Process(
                    target=_serve, args=(work, len(titles), taken, theirs), daemon=True
                )
                process.start()
                theirs.close()  # the worker's end: once that one is gone, we read the end of the file
                crew[ours] = process
        yield _done_by(crew, titles, listener)
    finally:
        for process in crew.values():
            process.kill()
        for connection, process in crew.items():
            process.join()
            connection.close()


def _done_here(work: Work, tasks: int, listener: Listener) -> Iterator[None]:
    for number in range(tasks):
        listener.started(number)
        work(number, lambda *words, number=number: listener.said(number, *words))
        listener.finished(number)
        yield


@contextmanager
def _signals_held() -> Iterator[None]:
    """Signals wait, in new processes too: none is to find a worker that nobody knows yet, or that obeys the parent's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _done_by(crew: dict[Connection, BaseProcess], titles: Sequence[str], listener: Listener) -> Iterator[None]:
    """Listen to the crew until the next task is done."""
    doing: dict[Connection, int] = {}
    done: set[int] = set()
    listened = list(crew)
    for number in range(len(titles)):
        while number not in done:
            for connection in wait(listened):
                assert isinstance(connection, Connection)
                try:
                    word, about, *words = connection.recv()
                except (EOFError, OSError):  # gone, perhaps in the middle of a word
                    number_there = doing.get(connection)
                    crew[connection].join()
                    if crew[connection].exitcode or number_there not in {None, *done}:
                        raise _death(crew[connection], titles, number_there, len(crew)) from None
                    listened.remove(connection)
                    continue
                if word == "failed":
                    raise words[0]
                if word == "started":
                    doing[connection] = about
                if word == "finished":
                    done.add(about)
                getattr(listener, word)(about, *words)
        yield


def _death(process: BaseProcess, titles: Sequence[str], number: int | None, workers: int) -> Exception:
    """What to say of a worker that ended, and left the task of that number undone."""
    code = process.exitcode or 0
    doing = "at its start" if number is None else f"at {titles[number]}"
    if code == 0:
        return RuntimeError(f"a worker ended {doing} with exit code 0")
    # No code of ours ends a worker so: the system kills for want of memory, and libraries abort or exit.
    how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
    return UserError(
        "trainer.window_workers",
        workers,
        f"a worker was ended {doing} ({how}), as the system and libraries do when memory runs out",
        "use fewer of them; resume=true fits no finished window again",
    )


def _serve(work: Work, tasks: int, taken: Any, parent: Connection) -> None:
    """A worker's life: take the next task until there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGABRT, signal.SIG_DFL)  # the parent speaks of a worker that ends
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        with taken.get_lock():
            number = taken.value
            taken.value += 1
        if number >= tasks:
            return
        parent.send(("started", number))
        try:
            work(number, lambda *words, number=number: parent.send(("said", number, *words)))
        except Exception as error:
            parent.send(("failed", number, _portable(error)))
            return
        parent.send(("finished", number))


def _end_with_parent() -> None:
    """End this process, whatever it does, when its parent is gone, killed without a chance to say so."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _portable(error: Exception) -> Exception:
    """An error that can be pickled, and says where it was raised unless that is the user's to mend."""
    if isinstance(error, UserError):
        return error
    return shortage(error) or RuntimeError("in a worker:\n" + "".join(traceback.format_exception(error)))
