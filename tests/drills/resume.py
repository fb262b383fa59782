"""`make drill-resume`: kill runs, sweeps, ingests and re-scores at random moments, go on, and compare to the last bit."""

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.archive.server import served
from tests.drills.killed_jobs import (
    JOBS,
    by_number,
    ingest_killed,
    published_series,
    rescore_killed,
    sweep_killed,
)
from tests.drills.killed_runs import (
    FIGURES,
    Chain,
    differences,
    killed_and_resumed,
    moments_of,
    statuses,
    undisturbed,
    windows_logged,
    words_of,
)
from tests.drills.kills import STAGES, finished
from tests.drills.page import Finding, conclude
from tests.runs import Run

GRID = ("grid.threshold=[0.52,0.54]", "grid.stop_atr=[1,2]")


def runs(
    folder: Path, *, chains: int, kills: int, windows: int, words: Sequence[str] = ()
) -> tuple[list[Chain], list[Finding]]:
    """Runs that are killed `kills` times each, two of them side by side."""
    warm = folder / "warm"
    warm.mkdir(parents=True)
    finished("train", words_of(1), warm)  # what is compiled once would lengthen the stages that are measured
    words = words_of(windows, *words)
    calm, lasts_s = undisturbed(words, folder / "calm")
    print("undisturbed:", {stage: round(seconds, 2) for stage, seconds in lasts_s.items()}, flush=True)
    with ThreadPoolExecutor(2) as executor:
        made = [
            executor.submit(killed_and_resumed, words, folder / f"run{seed}", moments_of(windows, kills, seed), lasts_s)
            for seed in range(chains)
        ]
        done = [one.result() for one in made]
    every = [kill for chain in done for kill in chain.kills]
    on = [f"{stage} {sum(kill.stage == stage for kill in every)}" for stage in STAGES]
    differ = [what for chain in done for what in differences(calm, chain.run)]
    anew = sum(len(chain.fitted_again) for chain in done)
    logged = [windows_logged(chain.run, folder / f"run{seed}") for seed, chain in enumerate(done)]
    status = [statuses(folder / f"run{seed}") for seed in range(chains)]
    running, killed = (sum(one.get(name, 0) for one in status) for name in ("RUNNING", "KILLED"))
    fits = 2 * windows * chains
    several = sum(chain.several for chain in done)
    return done, [
        Finding(
            f"kills of a {windows}-window run fall on its whole life, some on runs with two workers",
            f"{len(every)} kills in {chains} stores, {several} with two workers: {', '.join(on)}",
            met=all(any(kill.stage == stage for kill in every) for stage in STAGES) or kills * chains < 50,
        ),
        Finding(
            "bytes of predictions, validation, trades and equity, figures and verdict are those of an undisturbed run",
            f"{len(differ)} differences in {chains * (4 + len(FIGURES))} comparisons {' '.join(sorted(set(differ)))}".rstrip(),
            met=not differ,
        ),
        Finding(
            "no finished fit is fitted again, so that a kill costs what its workers were at",
            f"{anew} of {fits} fits (model and baseline) have another inode or time after {len(every)} kills",
            met=anew == 0,
        ),
        Finding(
            "MLflow has every window of the finished run once",
            f"{sum(one == list(range(windows)) for one in logged)} of {chains} runs",
            met=all(one == list(range(windows)) for one in logged),
        ),
        Finding("no run is left RUNNING", f"{running} RUNNING, {killed} closed as KILLED", met=running == 0),
    ]


def sweep(folder: Path, *, kills: int, windows: int) -> list[Finding]:
    """A sweep of four jobs."""
    words = (*JOBS, *(word for word in words_of(windows, "report=false") if "model." not in word))
    began = time.monotonic()
    (folder / "calm").mkdir(parents=True)
    swept = finished("train", words, folder / "calm")
    job_s = (time.monotonic() - began) / 4
    calm = [Run(swept / str(job)) for job in range(4)]
    again = sweep_killed(words, folder / "killed", kills=kills, job_s=job_s, seed=kills)
    figures = tuple(key for key in FIGURES if key not in ("trials", "verdict"))
    differ = [
        what for one, other in zip(calm, again.jobs, strict=True) for what in differences(one, other, figures=figures)
    ]
    outcomes = [[job.summary["verdict"]["outcome"] for job in jobs] for jobs in (calm, again.jobs)]
    counts = [job.summary["trials"]["count"] for job in again.jobs]
    once = [windows_logged(job, folder / "killed") == list(range(windows)) for job in again.jobs]
    running = statuses(folder / "killed").get("RUNNING", 0)
    return [
        Finding(
            "a sweep of four that is typed again with resume=true ends with four runs that are the undisturbed ones'",
            f"{len(again.caught_at)} kills ({by_number(again.caught_at)}); {len(differ)} differences in "
            f"{4 * (4 + len(figures))} comparisons, verdicts {'equal' if outcomes[0] == outcomes[1] else 'differ'}",
            met=not differ and outcomes[0] == outcomes[1],
        ),
        Finding(
            "it fits no finished window again, counts no setting twice, and leaves nothing RUNNING and no window out",
            f"{len(again.fitted_again)} fits made anew; {max(counts)} settings counted; {running} RUNNING; "
            f"{sum(once)} of 4 runs have every window once",
            met=not again.fitted_again and max(counts) == 4 and running == 0 and all(once),
        ),
    ]


def ingests(folder: Path, *, kills: int, months: int) -> list[Finding]:
    """An ingest of two symbols."""
    with served() as server:
        again = ingest_killed(server, published_series(server, months), folder, kills=kills, seed=kills)
    return [
        Finding(
            "an ingest that is killed and typed again leaves the store of an undisturbed one, and no half file meanwhile",
            f"{again.kills} kills, which left {again.moments} different sets of files; every manifest and Parquet file "
            f"was whole after each; at the end every byte is {'equal' if again.same else 'NOT equal'}",
            met=again.same and again.moments > again.kills // 2,
        ),
        Finding(
            "what is in the store is not downloaded again",
            f"{len(again.fetched_again)} files",
            met=not again.fetched_again,
        ),
    ]


def rescores(run: Run, cwd: Path, *, kills: int) -> Finding:
    """A setting and a grid, traded on the predictions of a run."""
    began = time.monotonic()
    finished("backtest", [f"run={run.folder}", "backtest.threshold=0.51"], cwd)
    lasts_s = time.monotonic() - began
    done = [
        rescore_killed(run, words, cwd, kills=share, lasts_s=lasts_s, seed=share)
        for words, share in ((("backtest.threshold=0.56",), kills // 2), (GRID, kills - kills // 2))
        if share
    ]
    running = statuses(cwd).get("RUNNING", 0)
    return Finding(
        "a re-scoring that is killed and typed again gives the same files, and leaves the run as it was and nothing RUNNING",
        f"{sum(one.kills for one in done)} kills of a setting and of a grid; files {'equal' if all(one.same for one in done) else 'NOT equal'}, "
        f"run {'untouched' if all(one.original_untouched for one in done) else 'CHANGED'}, {running} RUNNING",
        met=running == 0 and all(one.same and one.original_untouched for one in done),
    )


def main() -> None:
    """The drill."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chains, findings = runs(folder, chains=5, kills=10, windows=12)
        parts = (
            partial(sweep, folder / "sweep", kills=5, windows=3),
            partial(ingests, folder / "ingest", kills=10, months=6),
            lambda: [rescores(chains[0].run, folder / "run0", kills=5)],
        )
        for part in parts:
            findings += part()
    conclude("resume", "Killed at any moment, and resumed", findings, seconds=time.monotonic() - began)


if __name__ == "__main__":
    main()
