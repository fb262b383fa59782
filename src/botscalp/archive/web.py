"""Asking a server that may be slow, busy or gone: one attempt, and as many as patience allows."""

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import HTTPError, InvalidHeader, ProtocolError

from botscalp.errors import Interrupted, UserError

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

BUSY = 429
BROKEN = 500
MISSING = (404, 410)
PIECE_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long is waited for a server, and how much is taken from it."""

    connect_s: float = 10.0
    silence_s: float = 30.0
    """without a byte"""
    attempt_s: float = 600.0
    """for one attempt at one file, however steadily it drips"""
    attempts: int = 6
    backoff_s: float = 0.5
    """after the first attempt; doubled by each further one, and up to half as much again by chance, so that many do not
    return at once"""
    backoff_most_s: float = 30.0
    """of which the same holds"""
    retry_after_most_s: float = 300.0
    """the longest wait that a server may ask for; beyond it the command ends and says so"""
    redirects: int = 3
    most_bytes: int = 1 << 30
    """of one file"""

    def pause_s(self, failures: int) -> float:
        """How long to wait after another attempt failed, `failures` of them having failed before."""
        doubled_s = min(self.backoff_s * 2.0**failures, self.backoff_most_s)
        return doubled_s * random.uniform(1.0, 1.5)


def without_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """The address, and the user and password that stood in it before an @: addresses are printed and kept, passwords are not."""
    scheme, mark, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    return f"{scheme}{mark}{host}", (unquote(user), unquote(password)) if at else None


class ServerError(UserError):
    """The server itself is not there, or asks for more patience than there is: its other URLs fare no better."""


class AgainError(Exception):
    """This attempt failed, another may not; `after_s` is what the server asked to wait.

    Args:
        of_server: it failed for a reason that other URLs of the server share.
    """

    def __init__(self, problem: str, *, after_s: float | None = None, of_server: bool = False) -> None:
        super().__init__(problem)
        self.after_s = after_s
        self.of_server = of_server


class Web:
    """A session that several threads may use; it ends where `stop` is set.

    Args:
        key, remedy: of the errors; the config key that named the server.
        at_once: connections that are kept open.
        credentials: user and password, for a server that wants them.
    """

    def __init__(
        self,
        *,
        key: str,
        at_once: int,
        patience: Patience,
        stop: threading.Event,
        credentials: tuple[str, str] | None = None,
        remedy: str = "run the same command again later: what has been fetched is kept",
    ) -> None:
        self.key = key
        self.remedy = remedy
        self.patience = patience
        self.stop = stop
        self._session = requests.Session()
        self._session.auth = credentials
        self._session.max_redirects = patience.redirects
        self._session.headers.update({"User-Agent": "botscalp", "Accept-Encoding": "identity"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=at_once, max_retries=0))

    def close(self) -> None:
        self._session.close()

    def patiently(self, url: str, attempt: Callable[[], Answer]) -> Answer:
        """What `attempt` returns, tried again after AgainError, with backoff and jitter or when the server says.

        Raises:
            UserError: the attempts are used up.
            ServerError: they failed for the server's sake, or it asks for more patience than there is.
            Interrupted: `stop` was set.
        """
        patience = self.patience
        for failures in range(patience.attempts):
            if self.stop.is_set():
                raise Interrupted
            try:
                return attempt()
            except AgainError as again:
                if failures + 1 == patience.attempts:
                    problem = f"{again}, asked {patience.attempts} times"
                    raise self.gave_up(url, problem, of_server=again.of_server) from None
                pause_s = patience.pause_s(failures) if again.after_s is None else again.after_s
                if pause_s > patience.retry_after_most_s:
                    raise self.gave_up(url, f"{again}, and asks to wait {pause_s:,.0f} s", of_server=True) from None
                logger.debug("%s: %s; again in %.1f s", url, again, pause_s)
                self.stop.wait(pause_s)
        raise AssertionError("the last attempt returns or gives up")

    def gave_up(self, url: str, problem: str, *, of_server: bool = False) -> UserError:
        """The error about this URL, or about the server; what was fetched before stays."""
        return (ServerError if of_server else UserError)(self.key, url, problem, self.remedy)

    def asked(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        allowed: Collection[int] = MISSING,
    ) -> requests.Response:
        """One attempt; an answer of 2xx or of a status that is `allowed`, its body not yet read. The caller closes it.

        Raises:
            AgainError: no connection, silence, 429 or 5xx.
            UserError: an answer that will not change.
            ServerError: no server can be asked at that address.
        """
        patience = self.patience
        try:
            response = self._session.request(
                method,
                url,
                headers=dict(headers or {}),
                params=dict(params or {}),
                stream=True,
                allow_redirects=True,
                timeout=(patience.connect_s, patience.silence_s),
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            connected = isinstance(error, requests.ReadTimeout) or isinstance(
                next(iter(error.args), None), ProtocolError
            )
            raise AgainError(_cause(error), of_server=not connected) from None
        except requests.TooManyRedirects as error:
            raise self.gave_up(url, _cause(error)) from None
        except (OSError, ValueError, HTTPError) as error:  # a bad address, certificates that are none
            raise self.gave_up(url, _cause(error), of_server=True) from None
        try:
            self._check(url, response, allowed)
        except BaseException:
            response.close()
            raise
        return response

    def _check(self, url: str, response: requests.Response, allowed: Collection[int]) -> None:
        if urlsplit(url).scheme == "https" and urlsplit(response.url).scheme != "https":
            raise self.gave_up(url, f"leads to {response.url}, which is not encrypted")
        status = response.status_code
        if status in allowed:
            return
        if status == BUSY or status >= BROKEN:
            problem, wait_s = f"answers {status} {response.reason}", retry_after_s(response)
            raise AgainError(problem, after_s=wait_s, of_server=status == BUSY)
        if status >= 300:
            raise self.gave_up(url, f"answers {status} {response.reason}")

    def pieces(self, response: requests.Response, *, take: Callable[[bytes], None]) -> None:
        """Hand the body to `take` piece by piece.

        Raises:
            AgainError: it broke off, fell silent or took too long; what was taken until then is right.
            Interrupted: `stop` was set.
        """
        until = time.monotonic() + self.patience.attempt_s
        try:
            while piece := response.raw.read1(
                PIECE_BYTES
            ):  # what is there: iter_content would wait, and lose, a whole piece
                take(piece)
                if self.stop.is_set():
                    raise Interrupted
                if time.monotonic() > until:
                    raise AgainError(f"takes more than {self.patience.attempt_s:g} s")
        except HTTPError as error:
            raise AgainError(f"broke off ({_cause(error)})") from None
        finally:
            response.close()

    def body(self, response: requests.Response, *, most_bytes: int) -> bytes:
        """The whole of a short body.

        Raises:
            AgainError: as `pieces`.
            UserError: it is longer than `most_bytes`.
        """
        content = bytearray()

        def take(piece: bytes) -> None:
            content.extend(piece)
            if len(content) > most_bytes:
                raise self.gave_up(response.url, f"answers with more than {most_bytes:,} bytes")

        self.pieces(response, take=take)
        return bytes(content)


def retry_after_s(response: requests.Response) -> float | None:
    """What the header Retry-After asks to wait: seconds, or until a date; None where it is absent or unreadable."""
    try:
        return Retry().get_retry_after(response.raw)
    except InvalidHeader:
        return None


def _cause(error: BaseException) -> str:
    """The innermost reason of a chain of wrapped errors, as one line."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return _cause(inner)
    text = re.sub(r"^\w+\(.*?\): ", "", str(error))  # the object that failed
    return text.rpartition("] ")[2].strip("() ").replace("\n", " ") or type(error).__name__
