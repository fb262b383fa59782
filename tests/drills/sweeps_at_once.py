"""Sweeps at the same time on one store, beside the same sweeps one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from botscalp.pipeline.tracking.store import client_of
from botscalp.pipeline.window_store import FORECASTS, WindowStore
from tests.drills.page import Finding
from tests.drills.running import Running, failed
from tests.runs import TINY, Run, bits
from tests.tracked import runs_at


@dataclass(frozen=True)
class Swept:
    """What sweeps left in a folder."""

    folder: Path

    @property
    def predictions(self) -> dict[str, bytes]:
        """Of each job, whichever sweep had it; of two that are alike by name, both."""
        found = {}
        for summary in sorted(self.folder.glob("mlruns/runs/*/*/*/summary.json")):
            run = Run(summary.parent)
            words = " ".join(f"{key}={value}" for key, value in sorted(run.summary["overrides"].items()))
            columns = (run.predictions[name].to_numpy(float) for name in ("window", "p_raw", "p", "label"))
            found[f"{run.folder.parents[1].name} {words}"] = b"".join(map(bits, columns))
        return found

    @property
    def windows(self) -> dict[str, bytes]:
        """The cache's, each as it is loaded."""
        root = self.folder / "mlruns" / "windows"
        found = {}
        for place in root.glob("[!.]*"):
            window = WindowStore(root).load(place.name)
            assert window is not None
            found[place.name] = b"".join(bits(getattr(window, part).p) for part in FORECASTS)
        return found

    @property
    def leftovers(self) -> list[str]:
        """Folders that were written aside and stayed."""
        return [path.name for path in (self.folder / "mlruns" / "windows").glob(".*") if path.is_dir()]

    @property
    def statuses(self) -> list[str]:
        client = client_of(self.folder / "mlruns")
        return [run.info.status for level in ("study", "window") for run in runs_at(client, level)]


def sweeps_at_once(folder: Path, *sweeps: Sequence[str], repetitions: int) -> list[Finding]:
    """The sweeps at the same time on one store, and one after another on another."""
    calm = folder / "calm"
    calm.mkdir(parents=True)
    failures = [said for number, words in enumerate(sweeps) for said in failed(sweep(calm, number, words))]
    wanted, cached = Swept(calm).predictions, Swept(calm).windows
    jobs = same = unreadable = other = 0
    statuses, leftovers = [], []
    for repetition in range(repetitions):
        together = Swept(folder / str(repetition))
        together.folder.mkdir()
        failures += failed(*(sweep(together.folder, number, words) for number, words in enumerate(sweeps)))
        predictions, windows = together.predictions, together.windows
        jobs += len(predictions)
        same += sum(predictions.get(job) == made for job, made in wanted.items())
        unreadable += len(cached.keys() - windows.keys())
        other += sum(windows[key] != made for key, made in cached.items() if key in windows)
        statuses += together.statuses
        leftovers += together.leftovers
        print(f"sweeps {repetition + 1}/{repetitions}: {len(predictions)} jobs, {len(windows)} windows", flush=True)
    total = repetitions * len(wanted)
    for said in failures:
        print(said, flush=True)
    asked = f"{len(sweeps)} sweeps at once on one store with resume=true, {repetitions} times: "
    return [
        Finding(
            f"{asked}no command fails, every run is FINISHED",
            f"{len(failures)} failures, {jobs} of {total} jobs, {statuses.count('FINISHED')} of {len(statuses)} runs and windows",
            not failures and jobs == total and set(statuses) == {"FINISHED"},
        ),
        Finding(
            "their predictions are those of the sweeps one after another, to the last bit",
            f"{same} of {total} jobs",
            same == total > 0,
        ),
        Finding(
            "every window of the cache can be read and is the same, none is half",
            f"{repetitions * len(cached)} windows: {unreadable} missing, {other} differ, {len(leftovers)} left half",
            not (unreadable or other or leftovers),
        ),
    ]


def sweep(cwd: Path, number: int, words: Sequence[str]) -> "Running":
    return Running.start(
        cwd, f"sweep{number}", "train", "-m", *TINY, "report=false", f"study=sweep{number}", "resume=true", *words
    )
