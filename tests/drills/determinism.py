"""`make drill-determinism`: the same config twice, elsewhere, by more workers, on another day, a month more: the same bits."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import libfaketime
import pandas as pd

from botscalp.data.manifest import Series
from botscalp.data.store import read_bars
from tests.archive.published import publish
from tests.archive.server import served
from tests.drills.kills import finished
from tests.drills.page import Finding, conclude
from tests.runs import SIZES, TINY, Run, bits, quiet_libraries, several

CLOCK = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
PLAIN = (*(word for word in TINY if not word.startswith("model.")), "tracking=none", "report=false")
SERIES = Series(market="spot", symbol="BTCUSDT", interval="15m")
MONTHS = ("2023-01", "2023-02", "2023-03", "2023-04", "2023-05", "2023-06")
BY_MONTH = (
    *("features.lags=4", "trainer.epochs=2", "trainer.lr=0.01", "trainer.device=cpu", "wfo.train=2mo"),
    *("trainer.chunk=16", "trainer.chunks=16", "trainer.warmup_bars=32", "tracking=none", "report=false"),
)


@dataclass(frozen=True)
class Elsewhere:
    """What is different while the config is the same."""

    what: str
    words: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    folder: str = "here"


def circumstances(folder: Path) -> list[Elsewhere]:
    """The first is what the others are held against."""
    clock = {"LD_PRELOAD": str(CLOCK), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "Pacific/Auckland"}
    return [
        Elsewhere("first", env={"PYTHONHASHSEED": "0", **dict.fromkeys(THREADS, "1")}),
        Elsewhere("the same again", env={"PYTHONHASHSEED": "0", **dict.fromkeys(THREADS, "1")}),
        Elsewhere("two window workers", words=("trainer.window_workers=2",)),
        Elsewhere("another working directory", words=(f"store={folder / 'here/mlruns'}",), folder="there"),
        Elsewhere("another store", words=(f"store={folder / 'another store'}",)),
        Elsewhere("another day and time zone (libfaketime, 400 days on)", env={**clock, "FAKETIME": "+400d"}),
        Elsewhere("another PYTHONHASHSEED", env={"PYTHONHASHSEED": "4711"}),
        Elsewhere(
            "two threads for OMP, MKL, OpenBLAS, numba and torch",
            env=dict.fromkeys(THREADS, "2"),
            before="import torch; torch.set_num_threads(2)",
        ),
    ]


def hashes(runs: Sequence[Run]) -> list[str]:
    """The sha256 of each run's predictions."""
    return [sha256_of(run.predictions) for run in runs]


def sha256_of(predictions: pd.DataFrame, values: Sequence[str] = ("p_raw", "p", "label")) -> str:
    """Of when, of what, in which window, and of the values: both probabilities and the label."""
    digest = hashlib.sha256(bits(predictions["open_time"].astype("datetime64[ns, UTC]").astype("int64")))
    digest.update("\n".join(predictions["symbol"]).encode())
    digest.update(bits(predictions["window"]))
    digest.update(bits(predictions[list(values)]))
    return digest.hexdigest()


def trained(jobs: Sequence[Sequence[str]], at: Elsewhere, folder: Path) -> list[Run]:
    """Runs of these words, one after another in one process."""
    cwd = folder / at.folder
    cwd.mkdir(parents=True, exist_ok=True)
    commands = [("train", [*words, *at.words]) for words in jobs]
    runs = []
    for outcome in several(commands, cwd=cwd, before=at.before, env=at.env):
        assert outcome["code"] == 0, outcome["stderr"]
        runs.append(Run(Path(outcome["stdout"].splitlines()[-1])))
    return runs


def everywhere(
    folder: Path, models: Sequence[str], chosen: Callable[[Elsewhere], bool] = lambda _: True
) -> list[Finding]:
    """Each model, in all circumstances that are chosen."""
    jobs = [[*PLAIN, f"model={model}", *SIZES[model]] for model in models]
    first, *others = circumstances(folder)
    known = hashes(trained(jobs, first, folder))
    assert len(set(known)) == len(known), "each model says something else"
    findings = []
    for other in filter(chosen, others):
        found = hashes(trained(jobs, other, folder))
        same = [one == its for one, its in zip(known, found, strict=True)]
        differ = [model for model, equal in zip(models, same, strict=True) if not equal]
        print(f"{other.what}: {sum(same)} of {len(same)} equal", flush=True)
        findings.append(
            Finding(
                f"{other.what}: the sha256 of the predictions of every model is the same",
                f"{sum(same)} of {len(same)} equal{': not ' + ', '.join(differ) if differ else ''}",
                met=all(same),
            )
        )
    shown = ", ".join(f"{model} {one[:12]}" for model, one in zip(models, known, strict=True))
    return [Finding("the hashes, their first 12 digits", shown, met=True), *findings]


def a_month_more(
    folder: Path, *, walks: Sequence[str] = ("monthly", "expanding"), models: Sequence[str] = ("gru", "boosting")
) -> list[Finding]:
    """The bars of five months, then of six: of a simulated market, of the store, and of a file."""
    sources = {
        "simulated": ("data=simulated", "data.interval=15m", "data.start=2023-01-01", "data.end={end}"),
        "binance": ("data=binance", f"data.store={folder / 'bars'}", "data.interval=15m"),
        "file": ("data=file", f"data.path={folder / 'bars.parquet'}"),
    }
    every = list(product(sources, walks, models))
    made = []
    for months, end in ((MONTHS[:-1], "2023-06-01"), (MONTHS, "2023-07-01")):
        bars_of(months, folder)
        jobs = [
            [
                *(word.format(end=end) for word in sources[source]),
                f"model={model}",
                *SIZES[model],
                f"wfo={walk}",
                *BY_MONTH,
            ]
            for source, walk, model in every
        ]
        made.append([by_window(run) for run in trained(jobs, Elsewhere("first"), folder)])
    findings = []
    for source in sources:
        pairs = [(a, b) for a, b, (its, _, _) in zip(*made, every, strict=True) if its == source]
        same = [a == b[: len(a)] and len(b) == len(a) + 1 for a, b in pairs]
        print(f"a month more, {source}: {sum(same)} of {len(same)} equal", flush=True)
        findings.append(
            Finding(
                f"a month appended to the bars ({source}) changes no probability of an earlier window, and adds a window",
                f"{sum(same)} of {len(same)} runs ({', '.join(walks)}; {', '.join(models)}), "
                f"{sum(len(a) for a, _ in pairs)} windows compared; the first is {pairs[0][0][0][:12]}",
                met=all(same),
            )
        )
    return findings


def bars_of(months: Sequence[str], folder: Path) -> None:
    """Ingest these months from an archive that has no more, and write a file of what the store then holds."""
    folder.mkdir(parents=True, exist_ok=True)
    with served() as server:
        publish(server, *months, series=SERIES)
        words = ("symbols=[BTCUSDT]", "interval=15m", f"start={months[0]}", f"end={months[-1]}", "recent=false")
        finished("ingest", [*words, f"base_url={server.url}"], folder)
    bars = read_bars(folder / "bars", SERIES)
    columns = {name: column for name, column in bars.columns() if name != "open_time_ns"}
    with quiet_libraries():
        table = pd.DataFrame({"open_time": pd.to_datetime(bars.open_time_ns, utc=True), **columns})
        table.to_parquet(folder / "bars.parquet")


def by_window(run: Run) -> list[str]:
    """The sha256 of each window's predictions, in the order of time; labels of the last bars come with the bars after them."""
    return [sha256_of(rows, ("p_raw", "p")) for _, rows in run.predictions.groupby("window")]


def main() -> None:
    """The drill."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        findings = everywhere(Path(name) / "same", list(SIZES)) + a_month_more(Path(name) / "more")
    conclude("determinism", "The same config, the same bits", findings, seconds=time.monotonic() - began)


if __name__ == "__main__":
    main()
