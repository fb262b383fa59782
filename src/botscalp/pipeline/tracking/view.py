"""What a study's page in MLflow shows: which columns, in which order, and which charts.

MLflow keeps the views that people save in an experiment's tags, offers them under "Views", and opens the one that an address
names. Their form is no interface of its: it is that of 3.17, tests/browser/ holds the pages against it, and without the tag
the pages show a choice of their own.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NAME = "botscalp"
VIEW = f"mlflow.sharedViewState.{NAME}"
"""the tag"""
ONLY_RUNS = "tags.level = 'study'"
"""the search that leaves the windows' runs out"""
HEADLINE = ("backtest/mean_net_bps", "test/auc", "test/brier_skill", "test/ece")
"""metrics in the table; the first orders it, the best run on top"""
WINDOWED = ("window/backtest/mean_net_bps", "window/test/auc", "window/test/brier_skill", "window/backtest/trades")
"""metrics that are drawn window by window"""
ALWAYS = ("model.name", "label.horizon")
"""parameters in the table even where all runs agree on them"""
MOST_PARAMS = 6


def link(port: int, experiment_id: str) -> str:
    """Where a browser finds the study, through that view.

    The address must not hold a search, or MLflow leaves the view aside; the view brings its own. And without the type of
    workflow, MLflow opens its pages for language models.
    """
    runs = f"http://127.0.0.1:{port}/#/experiments/{experiment_id}/runs"
    return f"{runs}?workflowType=machine_learning&viewStateShareKey={NAME}"


def differing(params: Sequence[Mapping[str, str]]) -> list[str]:
    """The parameters on which runs that have them disagree; those that most runs have come first."""
    values: dict[str, list[str]] = {}
    for one in params:
        for name, value in one.items():
            values.setdefault(name, []).append(value)
    names = [name for name, given in values.items() if len(set(given)) > 1]
    return sorted(names, key=lambda name: -len(values[name]))


def shared_view(differing: Sequence[str], metrics: Iterable[str], *, created_ms: int) -> str:
    """The tag's value.

    Args:
        differing: parameters on which the study's runs disagree, the most telling first.
        metrics: whatever the runs have. MLflow adds a chart for each that has none here, ends of intervals too, in sections
            by name: these are folded.
        created_ms: when the view is said to be from.
    """
    folded = sorted({metric.rpartition("/")[0] for metric in set(metrics).difference(WINDOWED)} - {""})
    columns = [
        "tags.`verdict`",
        *(f"metrics.`{metric}`" for metric in HEADLINE),
        *(f"params.`{param}`" for param in list(dict.fromkeys([*ALWAYS, *differing]))[:MOST_PARAMS]),
    ]
    over_time = {"xAxisKey": "time", "useGlobalXaxisKey": False, "lineSmoothness": 0, "displayPoints": True}
    state = {
        "searchFilter": ONLY_RUNS,
        "orderByKey": f"metrics.`{HEADLINE[0]}`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": ["0", "1", "attributes.`Run Name`", *columns],
        "columnWidths": {"metrics.`backtest/mean_net_bps`": 160},
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunSections": [
            _section("compared", "What differs, and what came of it"),
            _section("windows", "Window by window"),
            *(_section(name, name, folded=True) for name in folded),
        ],
        "compareRunCharts": [
            _chart("PARALLEL", "compared") | _parallel(differing),
            _chart("SCATTER", "compared") | {"xaxis": _metric("test/auc"), "yaxis": _metric("backtest/mean_net_bps")},
            *(_chart("LINE", "windows", metric) | over_time for metric in WINDOWED),
        ],
        "isAccordionReordered": True,  # these sections first, whatever their names
        "globalLineChartConfig": {"xAxisKey": "time", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    envelope = {"name": NAME, "createdAt": created_ms, "updatedAt": created_ms, "state": json.dumps(state)}
    return json.dumps(envelope)


def _parallel(differing: Sequence[str]) -> dict[str, Any]:
    """Lines are coloured by the last axis."""
    return {
        "selectedParams": list(differing[:MOST_PARAMS]) or list(ALWAYS),
        "selectedMetrics": ["test/brier_skill", "test/auc", "backtest/mean_net_bps"],
        "showAllRuns": False,
    }


def _metric(name: str) -> dict[str, str]:
    return {"key": name, "type": "METRIC"}


def _chart(kind: str, section: str, metric: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"{section} {kind} {metric}",
        "metricSectionId": section,
        "metricKey": metric,
        "runsCountToCompare": 20,
        "deleted": False,
        "isGenerated": False,
    }


def _section(uuid: str, name: str, *, folded: bool = False) -> dict[str, Any]:
    """A section of charts; a name that MLflow would choose itself collects what it adds."""
    return {
        "uuid": uuid,
        "name": name,
        "columns": 2,
        "display": not folded,
        "isReordered": not folded,
        "deleted": False,
        "isGenerated": folded,
    }
