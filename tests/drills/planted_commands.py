"""Commands with canaries all around them, in their environment and on their command line; what they say is kept in files."""

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests.drills.canaries import Planted
from tests.drills.made_up_archive import ArchiveServer, published
from tests.runs import TINY, arguments

FAULT = """
import botscalp.pipeline.window

def fit_window(*arguments, **settings):
    raise RuntimeError("planted")

botscalp.pipeline.window.fit_window = fit_window
"""
"""what a sitecustomize.py does to a process"""
SEARCH = (
    *("data.end=2023-03-20", "wfo.windows=6", "hydra/sweeper=search", "study=found"),
    *("label.horizon=choice(2,3)", "hydra.sweeper.n_trials=2"),
)
MONTH = ("start=2024-01", "end=2024-01", "recent=false")
MOST_S = 600.0


@dataclass
class Bench:
    """Where commands are typed; `ended` is how each of them did, by its name."""

    planted: Planted
    ended: dict[str, tuple[int, int]] = field(default_factory=dict)
    """the exit code, and the one that was expected"""

    @property
    def said(self) -> Path:
        """The folder of what was said."""
        return self.planted.folder / "said"

    def start(self, title: str, words: Sequence[str], variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        self.said.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            **self.planted.variables,
            "PYTHONPATH": str(self.planted.project / "src"),
            **variables,
        }
        with (self.said / f"{title}.txt").open("wb") as said:
            return subprocess.Popen(
                words, cwd=self.planted.work, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def run(self, title: str, name: str, *words: str, code: int = 0, variables: Mapping[str, str] | None = None) -> str:
        """A command of botscalp that ends with this code; the last line that it said."""
        began = time.monotonic()
        process = self.start(title, arguments(name, *words), variables or {})
        self.ended[title] = (process.wait(MOST_S), code)
        print(f"{title}: {self.ended[title][0]} in {time.monotonic() - began:.0f} s", flush=True)
        lines = (self.said / f"{title}.txt").read_text().splitlines()
        return lines[-1] if lines else ""

    def interrupted(self, title: str, name: str, *words: str, when: Callable[[], object]) -> None:
        """A command that is interrupted then."""
        process = self.start(title, arguments(name, *words), {})
        while not when() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        self.ended[title] = (process.wait(MOST_S), 130)
        print(f"{title}: {self.ended[title][0]}", flush=True)

    @property
    def unexpected(self) -> list[str]:
        """The commands that ended otherwise than they should: a search through what they wrote would prove nothing."""
        return [f"{title} {code}, not {wanted}" for title, (code, wanted) in self.ended.items() if code != wanted]


def refusals(bench: Bench) -> None:
    """What would write a secret down, if it were done."""
    secret = bench.planted["hydra.job.env_set as typed"]
    for number, words in enumerate(
        (
            [f"hydra.job.env_set.X={secret}"],
            [f"+hydra.job.env_set.X={secret}"],
            ["-m", "seed=1,2", f"+hydra.job.env_set.X={secret}"],
            ["-m", "seed=1,2", f"+hydra.job.env_set.X={secret}{{"],
            ["-m", "seed=1,2", "hydra.job.env_copy=[MY_TOKEN]"],
            ["study=${oc.env:MY_TOKEN}"],
            ["data=file", "data.path=${oc.env:MY_TOKEN}/bars.csv"],
            ["-m", "seed=1,2", "store=${oc.env:MY_TOKEN}"],
            ["-m", "store=${oc.env:MY_TOKEN},b"],
        )
    ):
        bench.run(f"refused {number}", "train", *words, code=2)


def trains(bench: Bench) -> str:
    """Runs that end well, by a mistake, and by a fault of botscalp; the folder of the first."""
    folder = bench.run("train", "train", *TINY)
    bench.run("a user's mistake", "train", *TINY, "model.hidden=abc", code=2)
    faulty = bench.planted.folder / "fault"
    faulty.mkdir()
    (faulty / "sitecustomize.py").write_text(FAULT)
    path = {"PYTHONPATH": f"{faulty}:{bench.planted.project / 'src'}"}
    bench.run("a fault of botscalp", "train", *TINY, "report=false", code=1, variables=path)
    assert "RuntimeError: planted" in (bench.said / "a fault of botscalp.txt").read_text()
    return folder


def others(bench: Bench, folder: str) -> None:
    """The other commands, on that run."""
    bench.run("sweep", "train", "-m", *TINY, "label.horizon=2,3", "study=swept")
    bench.run("search", "train", "-m", *TINY, *SEARCH)
    bench.run("compare", "compare", "study=swept")
    bench.run("predict", "predict", f"run={folder}", "data=simulated", "data.start=2023-01-01", "data.end=2023-02-01")
    bench.run("rescore", "backtest", f"run={folder}", "grid.threshold=[0.52,0.54]")
    bench.run("audit", "audit", *TINY, "audit.windows=1", "audit.points=5")
    bench.run("plan", "gpu", "plan")


def ingest(bench: Bench) -> None:
    """From an archive that wants a password."""
    with published("2024-01") as server:
        bench.run("ingest", "ingest", *MONTH, "store=bars", variables=_archive(bench, server))


def ingests(bench: Bench) -> None:
    """From an archive that fails, forbids or is slow, through a proxy that is none, and what there is to do with a store."""
    ingest(bench)
    bench.run("ingest report", "ingest", "report", "store=bars")
    typed = f"//user:{quote(bench.planted['base_url as typed'], safe='')}@"
    with published("2024-01") as server:
        url, variables = server.url.replace("//", typed), _archive(bench, server)
        bench.run("ingest filters", "ingest", "filters", "store=bars", f"rest_url.spot={url}", code=2)
        for fault in ("failing", "forbidden"):
            for path in server.files:
                for name in (path, f"{path}.CHECKSUM", f"HEAD {path}"):
                    server.faults[name] = [f"always {fault}"]
            bench.run(f"ingest, {fault}", "ingest", *MONTH, f"store={fault}", code=2, variables=variables)
        server.faults = defaultdict(list, {path: ["always slow"] for path in server.files})
        server.drip_bytes = 200
        server.requests.clear()
        bench.interrupted("ingest, stopped", "ingest", *MONTH, "store=slow", f"base_url={url}", when=server.gets)
    https = (*MONTH, "store=none", "base_url=https://127.0.0.1:9")
    bench.run("ingest, proxy gone", "ingest", *https, code=2)
    malformed = {"HTTPS_PROXY": bench.planted.variables["HTTPS_PROXY"].replace(":9", ":no-port")}
    bench.run("ingest, proxy malformed", "ingest", *https, code=2, variables=malformed)
    bench.run("ingest, address malformed", "ingest", *MONTH, f"base_url=http:{typed}[", code=2)


def _archive(bench: Bench, server: ArchiveServer) -> dict[str, str]:
    password = quote(bench.planted["BOTSCALP_ARCHIVE"], safe="")
    return {"BOTSCALP_ARCHIVE": server.url.replace("//", f"//user:{password}@")}


def local_machine(bench: Bench) -> None:
    """The a10g launcher with this machine in both parts, from a project with secrets in it."""
    words = (
        *("-m", "hydra/launcher=a10g", "hydra.launcher.machine=local", "hydra.launcher.needs.gpu=false"),
        *(f"hydra.launcher.travel.python={sys.executable}", f"hydra.launcher.travel.code={bench.planted.project}"),
        *("hydra.launcher.needs.disk_gb=0.1", "hydra.launcher.site.tick_s=0.2", "hydra.launcher.site.poll_s=0.5"),
        *(*TINY, "seed=1,2", "study=elsewhere"),
    )
    bench.run("launcher, .env would travel", "train", *words, code=2)
    assert "would send secrets: .env" in (bench.said / "launcher, .env would travel.txt").read_text()
    with (bench.planted.project / ".git/info/exclude").open("a") as ignored:
        ignored.write(".env\n")
    bench.run("launcher, local", "train", *words)
