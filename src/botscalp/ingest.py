"""`python -m botscalp.ingest [VERB]`: Binance's bars from the public archive to the store, and how they are there."""

import logging
import shlex
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from os.path import expanduser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from annotated_types import MinLen
from omegaconf import DictConfig, OmegaConf

from botscalp.application import Task, run_application
from botscalp.errors import UserError
from botscalp.options import nearest
from botscalp.types import Count, Name

if TYPE_CHECKING:
    from botscalp.archive.download import Archive
    from botscalp.archive.plan import Span, Step
    from botscalp.archive.web import Web
    from botscalp.data.manifest import Series

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks for; conf/ingest.yaml says what each key means."""

    symbols: Annotated[tuple[Name, ...], MinLen(1)]
    market: str
    interval: str
    kind: str
    start: str
    end: str | None
    store: Path
    recent: bool
    revisions: bool
    accept_checksum: tuple[str, ...]
    dry_run: bool
    at_once: Count
    base_url: str
    rest_url: Mapping[str, str]

    @property
    def series(self) -> "list[Series]":
        """One for each symbol, in the order in which they were typed."""
        from botscalp.archive.names import series_of

        return [
            series_of(market=self.market, symbol=symbol, interval=self.interval, kind=self.kind)
            for symbol in dict.fromkeys(self.symbols)
        ]


def fetch(cfg: DictConfig) -> None:
    """Bring the store up to what archive and exchange have of the request; print what is there then."""
    from botscalp.archive.download import Archive
    from botscalp.archive.filling import alone, tidy
    from botscalp.archive.plan import Span, planned
    from botscalp.archive.summary import stored, to_fetch
    from botscalp.archive.web import Patience, Web, without_credentials
    from botscalp.data.store import read_manifest

    request = request_of(cfg)
    today = datetime.now(UTC).date()
    span = Span.of(request.start, request.end, today=today)
    wanted = request.series
    stop = threading.Event()
    base_url, credentials = without_credentials(request.base_url)
    web = Web(key="base_url", at_once=request.at_once, patience=Patience(), stop=stop, credentials=credentials)
    archive = Archive(web, base_url)
    locks = nullcontext() if request.dry_run else alone(request.store, wanted)
    with closing(web), locks, ThreadPoolExecutor(request.at_once) as executor:
        try:
            logger.info("asking the archive what it has from %s to %s", span.first, span.last)
            steps = [
                step
                for series in wanted
                for step in planned(
                    archive,
                    read_manifest(request.store, series),
                    span,
                    today=today,
                    revisions=request.revisions,
                    executor=executor,
                )
            ]
            print("\n".join(to_fetch(steps, wanted)))
            if request.dry_run:
                return
            tidy(request.store, wanted, steps)
            refused = filled(request, archive, steps, executor)
            tidy(request.store, wanted, ())
        except BaseException:
            stop.set()  # the pool's threads end at their next step
            raise
    if request.recent:
        ask_for_recent(request, span, wanted)
    for series in wanted:
        print(stored(request.store, series))
    if refused:
        raise said(refused)
    if request.kind == "klines":
        print(f"python -m botscalp.train {words(request)}")


def request_of(cfg: DictConfig, **instead: str) -> Request:
    """The config, checked; `instead` stands in for keys that a verb has no use for."""
    from botscalp.config import plain
    from botscalp.options import checked

    values = plain(cast(DictConfig, OmegaConf.merge(cfg, instead)))
    values["store"] = expanduser(str(values["store"]))
    for key in ("start", "end"):  # start=2024 is a year too
        values[key] = None if values[key] is None else str(values[key])
    request: Request = checked(Request, values)
    return request


def filled(
    request: Request, archive: "Archive", steps: "Sequence[Step]", executor: ThreadPoolExecutor
) -> Sequence[UserError]:
    """Fetch and write what the steps name, a bar for whoever watches; the errors of files that were refused."""
    from rich import get_console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from botscalp.archive.filling import Watcher, fill
    from botscalp.archive.plan import total
    from botscalp.pipeline.progress import BAR_WIDTH, watched

    files, size_bytes = total(steps)
    if not files:
        return []
    columns = (
        TextColumn("{task.fields[files]}"),
        BarColumn(BAR_WIDTH),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=get_console(), transient=True, disable=not watched()) as progress:
        bar = progress.add_task("", total=size_bytes, files=f"0/{files} files")
        done = 0

        def file_done() -> None:
            nonlocal done
            done += 1
            progress.update(bar, files=f"{done}/{files} files")

        watcher = Watcher(moved=lambda count: progress.advance(bar, count), file_done=file_done)
        return fill(request.store, archive, steps, accepted=request.accept_checksum, executor=executor, watcher=watcher)


def report(cfg: DictConfig) -> None:
    """Print what the store holds and what is odd about it; the same as JSON and as a picture lies beside each manifest."""
    from rich import get_console

    from botscalp.archive.health_report import health_report
    from botscalp.archive.health_table import tell
    from botscalp.data.store import stored_series

    request = request_of(cfg, start="")
    store, wanted = request.store, stored_series(request.store)
    chosen = [series for series in wanted if all(held(series, request) for held in asked_for())]
    if not chosen:
        held_names = ", ".join(map(str, wanted)) or "nothing"
        raise UserError("store", store, "holds no such series", f"ingest it, or name what is there: {held_names}")
    tell(health_report(store, chosen), get_console())
    for series in chosen:
        print(series.folder(store) / "health.json")


def asked_for() -> "list[Callable[[Series, Request], bool]]":
    """What a series has to be, by the keys that were typed; the others' values are no wish."""
    from hydra.core.hydra_config import HydraConfig

    from botscalp.config import overridden

    tests: dict[str, Callable[[Series, Request], bool]] = {
        "symbols": lambda series, request: series.symbol in request.symbols,
        "market": lambda series, request: series.market == request.market,
        "interval": lambda series, request: series.interval == request.interval,
        "kind": lambda series, request: (series.interval == "funding") == (request.kind == "funding"),
    }
    typed = overridden(HydraConfig.get().overrides.task)
    return [test for key, test in tests.items() if key in typed]


def filters(cfg: DictConfig) -> None:
    """Ask the exchange for today's ticks, steps and least notionals, and keep them in the store for backtest.filters."""
    from botscalp.archive.filters import fetch_filters, filters_file, kept_symbols, write_filters

    request = request_of(cfg, start="")
    market, store = request.market, request.store
    if market not in request.rest_url:
        raise UserError("market", market, "no such market", f"one of {', '.join(request.rest_url)}")
    symbols, remedy = list(request.symbols), "run the same command again later"
    if kept := [symbol for symbol in kept_symbols(store, market) if symbol not in symbols]:
        remedy += f"; or delete {filters_file(store, market)}, for which {', '.join(kept)} are asked too"
    web, url = interface(request, remedy)
    with closing(web):
        found = fetch_filters(web, url, market=market, symbols=kept + symbols)
    for symbol, one in found.symbols.items():
        print(f"{symbol}: tick {one.tick:g}, step {one.step:g}, at least {one.min_notional:g} of notional")
    print(f"backtest.filters={write_filters(store, found)}")


def interface(request: Request, remedy: str) -> "tuple[Web, str]":
    """A session with the exchange itself, and its address."""
    from botscalp.archive.web import Patience, Web, without_credentials

    url, credentials = without_credentials(request.rest_url[request.market])
    key, stop = f"rest_url.{request.market}", threading.Event()
    return Web(key=key, at_once=1, patience=Patience(), stop=stop, credentials=credentials, remedy=remedy), url


def ask_for_recent(request: Request, span: "Span", wanted: "Sequence[Series]") -> None:
    """Ask the exchange for what the store lacks before the end of the request, or now.

    That is what follows the last of what is stored, and days before it whose files may still come.
    """
    from botscalp.archive.plan import LATE_DAYS
    from botscalp.archive.recent import Exchange, add_recent
    from botscalp.data.manifest import covered_ns, uncovered_ns
    from botscalp.data.store import read_manifest
    from botscalp.times import DAY_NS, time_text

    end_ns = span.end_ns(now=datetime.now(UTC))
    remedy = "run the same command again later, or do without the last bars: recent=false; the archive's are stored"
    web, url = interface(request, remedy)
    with closing(web):
        exchange = Exchange(web, url, market=request.market)
        for series in wanted:
            manifest = read_manifest(request.store, series)
            last_ns = max((end for start, end in covered_ns(manifest) if start < end_ns), default=span.start_ns)
            first_ns = max(span.start_ns, min(last_ns, end_ns - LATE_DAYS * DAY_NS))
            for start_ns, until_ns in uncovered_ns(manifest, first_ns, end_ns):
                rows = add_recent(request.store, exchange, series, start_ns=start_ns, end_ns=until_ns)
                print(f"{series}: {rows:,} recent rows, from {time_text(start_ns)}, of the exchange itself")


def said(refused: Sequence[UserError]) -> UserError:
    """The errors of files as one."""
    if len(refused) == 1:
        return refused[0]
    names = ", ".join(str(error.value) for error in refused)
    return UserError("file", names, f"{len(refused)} files were refused", "see above; everything else is in the store")


def words(request: Request) -> str:
    """What a command needs in order to read the series that were fetched."""
    typed = {"market": request.market, "interval": request.interval, "symbols": f"[{','.join(request.symbols)}]"}
    if request.store != Path("bars"):
        typed["store"] = str(request.store)
    return shlex.join(["data=binance", *(f"data.{key}={value}" for key, value in typed.items())])


def on_disk(task: Task) -> Task:
    """The task, whose errors of files are the store's: everything else that it opens says so itself."""

    @wraps(task)
    def run(cfg: DictConfig) -> None:
        try:
            task(cfg)
        except BrokenPipeError:  # whoever read what is printed has left
            raise
        except OSError as error:
            remedy = "name a folder that can be read and written, on a disk with room"
            raise UserError("store", cfg.store, f"cannot be used: {error}", remedy) from error

    return run


VERBS: dict[str, Task] = {"report": report, "filters": filters}


def main() -> None:
    """Take the verb, if there is one, from the command line; the rest is Hydra's."""
    sys.argv[1:] = ["dry_run=true" if word == "--dry-run" else word for word in sys.argv[1:]]
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    word = sys.argv[1]
    if word in VERBS:
        del sys.argv[1]
        run_application(on_disk(VERBS[word]), config_name="ingest", verb=word)
    if word.startswith("-") or "=" in word:
        run_application(on_disk(fetch), config_name="ingest")
    print(UserError("ingest", word, "no such verb", f"{nearest(word, VERBS)}, or none to fetch"), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
