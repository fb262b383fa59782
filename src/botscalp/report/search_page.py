"""search.html: what a search found, how much of it is luck, and every trial with what became of it."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from botscalp.report.compare_tables import UNFOLDED, duration
from botscalp.report.drawing import Picture
from botscalp.report.figures.trial_history import trial_history
from botscalp.report.figures.trial_importance import trial_importance
from botscalp.report.figures.trial_slices import trial_slices
from botscalp.report.figures.trial_windows import trial_windows
from botscalp.report.markets import bars_told
from botscalp.report.numbers import estimate, number, written
from botscalp.report.outcomes import MEANING
from botscalp.report.page import rendered, write_page
from botscalp.report.tables import Fact, Table

FILE = "search.html"
Found = Mapping[str, Any]
"""what search.json holds"""


def write_search_page(folder: Path, found: Found) -> None:
    """Write search.html and figures/<name>.png."""
    drawn = (trial_history(found), trial_windows(found), trial_importance(found), trial_slices(found))
    pictures = {picture.name: picture for picture in drawn if picture is not None}
    write_page(folder / FILE, _page(folder, found, pictures), pictures.values())


def _page(folder: Path, found: Found, pictures: Mapping[str, Picture]) -> str:
    unseen = found["holdout_run"]
    report = None if unseen is None or unseen["report"] is None else quote(os.path.relpath(unseen["report"], folder))
    return rendered(
        "search.html.j2",
        title=f"search {found['study']}",
        headline=_headline(found),
        colour="inconclusive" if unseen is None else unseen["verdict"].lower(),
        answers=_answers(found),
        facts=_facts(found),
        pictures=pictures,
        measures=_measures(found),
        too_few=found["luck"]["undefined"],
        report=report,
        trials=_trials(found),
        failed=_ended(found, "failed", "Trials that failed"),
        pruned=_ended(found, "pruned", "Trials that were pruned", folded_above=UNFOLDED),
    )


def _headline(found: Found) -> str:
    """The verdict where nobody had looked."""
    if found["best"] is None:
        return "NOTHING FOUND"
    return "NOT JUDGED" if found["holdout_run"] is None else str(found["holdout_run"]["verdict"])


def _answers(found: Found) -> list[tuple[str, str]]:
    """Questions and answers, what was found first."""
    spent, unseen = found["time"], found["holdout_run"]
    answers = [("What was found?", found["conclusion"])]
    if unseen is not None:
        answers.append(
            (
                "What did the unseen windows say?",
                f"{unseen['verdict']}: {MEANING[unseen['verdict']]} AUC {estimate(unseen['auc'], '.4f')}, net "
                f"{estimate(unseen['mean_net_bps'], '+.2f')} bps a trade; they were scored {unseen['times']:,} "
                f"time{'' if unseen['times'] == 1 else 's'} in all.",
            )
        )
    answers += [
        ("Is the best more than luck?", _luck(found)),
        (
            "What did it cost?",
            f"{len(found['trials']):,} trials took {duration(spent['total_s'])}, and their windows {duration(spent['fit_s'])} to fit, "
            f"those counted that an earlier run had fitted; {spent['pruned']:,} were pruned, which saved "
            f"{spent['saved_windows']:,} windows, and {spent['failed']:,} failed.",
        ),
    ]
    return answers


def _luck(found: Found) -> str:
    luck = found["luck"]
    if luck["deflated"] is None:
        return f"It cannot be told: {luck['undefined']}." if luck["undefined"] else "It cannot be told."
    return (
        f"With a probability of {luck['deflated']:.3f}: that its Sharpe ratio, {number(luck['sharpe'], '+.2f')} on the search windows, "
        f"is truly above {number(luck['expected_best_sharpe'], '+.2f')}, which the best of {luck['trials']:,} without skill is expected "
        f"to show. PBO {number(luck['pbo'], '.3f')}."
    )


def _facts(found: Found) -> list[Fact]:
    parts = {name: found[name]["windows"] for name in ("search", "holdout")}
    spans = {
        name: f"{len(some):,}, tests {some[0]['test'][0][:10]} .. {some[-1]['test'][1][:10]}"
        for name, some in parts.items()
    }
    unseen = found["holdout_run"]
    return [
        ("Bars", bars_told(found["markets"])),
        (
            "Objective",
            f"{found['objective'].replace('_', ' ')}, the mean over the search windows, {found['direction']}d by {found['sampler']}",
        ),
        ("Search windows", f"{spans['search']}: they rank and prune"),
        ("Holdout windows", f"{spans['holdout']}: no trial saw a bar of them"),
        ("Winner's run on them", "none" if unseen is None else unseen["folder"]),
    ]


def _measures(found: Found) -> Table:
    luck, name = found["luck"], found["objective"].replace("_", " ")
    best = next((one for one in found["trials"] if one["number"] == found["best"]), None)
    gap = found["difference"]
    return Table(
        caption="The best trial beside the runner-up, and beside luck",
        columns=["measure", "value", "what it says"],
        rows=[
            [
                f"{name} of the best",
                number(None if best is None else best["value"], "+.5f"),
                "mean over the search windows",
            ],
            [
                "less the runner-up's",
                "n/a" if gap is None else estimate(gap, "+.5f"),
                "95 % interval, paired by window",
            ],
            [
                "by luck alone",
                number(luck["expected_best_value"], "+.5f"),
                f"the best of {luck['trials']:,} independent settings without skill; those of a search share their bars",
            ],
            [
                "PBO",
                number(luck["pbo"], ".3f"),
                f"among the {luck['completed']:,} completed trials; 0.5 where choosing is worth nothing",
            ],
            [
                "Sharpe ratio of the best",
                number(luck["sharpe"], "+.2f"),
                "annualised, net of costs, on the search windows",
            ],
            [
                "Sharpe ratio by luck",
                number(luck["expected_best_sharpe"], "+.2f"),
                f"the best of {luck['trials']:,} without skill",
            ],
            [
                "deflated Sharpe ratio",
                number(luck["deflated"], ".3f"),
                "the probability that the best's is truly above that",
            ],
        ],
    )


def _trials(found: Found) -> Table:
    settings = list(dict.fromkeys(key for one in found["trials"] for key in one["params"]))
    ranked = sorted(
        found["trials"],
        key=lambda one: (one["state"] != "complete", -(one["value"] if one["value"] is not None else -9.0)),
    )
    return Table(
        caption=f"All {len(found['trials']):,} trials, the best first",
        columns=[
            "trial",
            "state",
            found["objective"].replace("_", " "),
            "windows",
            "Sharpe",
            "seconds",
            *settings,
            "folder",
        ],
        rows=[
            [
                str(one["number"]),
                one["state"],
                number(one["value"], "+.5f"),
                str(len(one["scores"])),
                number(one["sharpe"], "+.2f"),
                number(one["seconds"], ".1f"),
                *(written(one["params"].get(key, "")) for key in settings),
                one["folder"],
            ]
            for one in ranked
        ],
        folded=len(ranked) > UNFOLDED,
    )


def _ended(found: Found, state: str, caption: str, folded_above: float = math.inf) -> Table | None:
    """Why trials of that state ended before their time; failures stay in sight, however many."""
    rows = [[str(one["number"]), one["reason"]] for one in found["trials"] if one["state"] == state]
    return (
        Table(caption=caption, columns=["trial", "why"], rows=rows, folded=len(rows) > folded_above) if rows else None
    )
