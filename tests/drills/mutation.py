"""`make drill-mutation`: the core is changed a little in hundreds of ways; does a test notice each?

What survives is listed in docs/mutants.md beside why, as survivors.toml explains it; what that does not explain says so.
"""

import hashlib
import resource
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.drills.mutants import Mutant, mutants
from tests.drills.mutated import FORK, ROOT, load_libraries, notices
from tests.drills.page import Finding, conclude

AT_MOST = 250
SEED = "1"
SCORE = 0.85
PAGE = ROOT / "docs" / "mutants.md"
EXPLAINED = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True)
class Part:
    """Modules of the core, and the smallest tests that are there for them."""

    name: str
    files: tuple[str, ...]
    """patterns below src/botscalp/"""
    tests: tuple[str, ...]


PARTS = (
    Part("windows", ("windows/[!_]*.py",), ("tests/windows",)),
    Part("labels", ("labels/[!_]*.py",), ("tests/labels", "-k", "not real_bars")),
    Part(
        "metrics",
        ("statistics/metrics.py", "statistics/figures.py"),
        ("tests/statistics/test_probability_metrics.py", "tests/statistics/test_figures.py"),
    ),
    Part(
        "backtest kernel",
        ("backtest/kernel.py",),
        (
            *("tests/backtest/test_backtest_golden.py", "tests/backtest/test_backtest_golden_account.py"),
            "tests/drills/kernel_agrees.py",
        ),
    ),
    Part(
        "verdict",
        ("pipeline/verdict.py", "pipeline/rules.py"),
        ("tests/pipeline/test_verdict.py", "-k", "not trivial and not martingale and not untracked"),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: killed, survived or timeout."""

    part: Part
    mutant: Mutant
    became: str


def main() -> None:
    """Draw the mutants, run them, and write both pages."""
    began = time.monotonic()
    tried = tested(drawn(AT_MOST))
    survivors = [one.mutant for one in tried if one.became == "survived"]
    explained = explanations()
    PAGE.write_text(page(survivors, explained))
    unexplained = [one for one in survivors if one.key not in explained]
    findings = [
        Finding(f"of the changed cores, {SCORE:.0%} are noticed", told(tried), score(tried) >= SCORE),
        *(Finding(f"of those of the {part.name}", told(own), score(own) >= SCORE) for part, own in by_part(tried)),
        Finding(
            "each that was not has been read and is explained ([mutants.md](mutants.md))",
            f"{len(survivors) - len(unexplained)} of {len(survivors)}",
            not unexplained,
        ),
    ]
    conclude("mutation", "A changed line is noticed", findings, seconds=time.monotonic() - began)


def drawn(at_most: int) -> list[tuple[Part, Mutant]]:
    """So many of all mutants, each as likely as any other; a change elsewhere in the code changes none of the draws."""
    sources = [(part, path) for part in PARTS for file in part.files for path in (ROOT / "src/botscalp").glob(file)]
    every = [
        (part, one)
        for part, path in sources
        for one in {one.key: one for one in mutants(str(path.relative_to(ROOT)), path.read_text())}.values()
    ]
    return sorted(every, key=lambda one: hashlib.sha256("\n".join((SEED, *one[1].key)).encode()).digest())[:at_most]


def tested(chosen: Sequence[tuple[Part, Mutant]]) -> list[Outcome]:
    """What became of each; before that, the core as it is passes the same tests, and its time is a measure for theirs."""
    with ProcessPoolExecutor(2, mp_context=FORK, initializer=load_libraries) as pool:
        limit_s = dict(zip((part.name for part in PARTS), pool.map(_limit_s, PARTS), strict=True))
        print(", ".join(f"{name} {seconds:.0f} s at most" for name, seconds in limit_s.items()), flush=True)
        futures = [pool.submit(notices, one.path, one.source, part.tests, limit_s[part.name]) for part, one in chosen]
        outcomes = []
        for (part, one), future in zip(chosen, futures, strict=True):
            outcomes.append(Outcome(part, one, future.result()))
            if outcomes[-1].became != "killed":
                print(f"{len(outcomes)}/{len(chosen)} {outcomes[-1].became}: {one.path}:{one.number}")
                print(f"  {one.before}\n  {one.after}", flush=True)
    return outcomes


def _limit_s(part: Part) -> int:
    """Processor time: several times what the tests take on the core as it is."""
    path = next((ROOT / "src/botscalp").glob(part.files[0])).relative_to(ROOT)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    became = notices(str(path), (ROOT / path).read_text(), part.tests, limit_s=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert became == "survived", f"the tests of {part.name} do not pass on the core as it is: {became}"
    return 5 + round(5.0 * (after.ru_utime - before.ru_utime))


def by_part(outcomes: Sequence[Outcome]) -> Iterable[tuple[Part, list[Outcome]]]:
    return ((part, [one for one in outcomes if one.part == part]) for part in PARTS)


def score(outcomes: Sequence[Outcome]) -> float:
    """The share that was noticed; changes that change nothing count as not noticed."""
    return sum(one.became != "survived" for one in outcomes) / len(outcomes)


def told(outcomes: Sequence[Outcome]) -> str:
    endless = sum(one.became == "timeout" for one in outcomes)
    noticed = sum(one.became != "survived" for one in outcomes)
    return f"{noticed} of {len(outcomes)}, {score(outcomes):.1%}" + (f" ({endless} by never ending)" if endless else "")


def explanations() -> dict[tuple[str, str, str], str]:
    """Why a mutant survives, by its key."""
    table = tomllib.loads(EXPLAINED.read_text())
    return {(one["file"], one["before"], one["after"]): one["why"] for one in table.get("survivor", [])}


def page(survivors: Sequence[Mutant], explained: dict[tuple[str, str, str], str]) -> str:
    """docs/mutants.md."""
    shown = [
        "# Changes of the core that no test notices",
        "",
        "Written by `make drill-mutation`, of the changes it drew.",
    ]
    for one in sorted(survivors, key=lambda one: (one.path, one.number)):
        why = explained.get(one.key, "**Not yet explained.**")
        shown += ["", f"`{one.path}`", "", "```diff", f"- {one.before}", f"+ {one.after}", "```", "", why]
    return "\n".join(shown) + "\n"


if __name__ == "__main__":
    main()
