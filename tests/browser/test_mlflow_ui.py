"""MLflow's own pages on a study of four runs, as the link that `make ui` prints opens them."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opened import Opened
from playwright.sync_api import Page, Response, expect
from runs import quiet_libraries
from served import served

from botscalp.pipeline.tracking.store import client_of, runs_of

if TYPE_CHECKING:
    from mlflow.entities import Run

pytestmark = pytest.mark.slow
STUDY = "four"
NO_ASSISTANT = """try {
  localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
  localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
} catch {}"""
"""or it covers a quarter of the page; the frame of a report has no storage"""
PATIENCE_MS = 120_000
"""of a machine that has other work"""
ABSENT = "/mlflow/users/current"
"""what MLflow asks for though a store in a file has no users"""
KNOWN = re.compile(r"404 \(Not Found\)|attribute \w+: .*NaN|A negative value is not valid|ResizeObserver loop")
"""complaints of MLflow's own: that answer, and charts that are drawn before they know their size"""


@pytest.fixture(scope="module")
def link(study_of_four: Path) -> Iterator[str]:
    """What `make ui` prints."""
    with served(study_of_four) as pages:
        yield pages.lines[STUDY]


@pytest.fixture(scope="module")
def runs(study_of_four: Path) -> "list[Run]":
    """The best mean net trade first."""
    with quiet_libraries():
        client = client_of(study_of_four)
        found = runs_of(client, client.get_experiment_by_name(STUDY).experiment_id)
    return sorted(found, key=lambda run: -run.data.metrics["backtest/mean_net_bps"])


@pytest.fixture
def open_mlflow(open_page: Callable[..., Opened]) -> Iterator[Callable[[str], Page]]:
    """open_mlflow(url): the page, wide enough for charts; at the end it has asked nobody else, and lacked nothing."""
    pages: list[Opened] = []
    refused: list[str] = []

    def hear(answer: Response) -> None:
        if answer.status >= 400 and not answer.url.endswith(ABSENT):
            refused.append(answer.url)

    def go(url: str) -> Page:
        opened = open_page("about:blank", offline=False, before=NO_ASSISTANT)
        pages.append(opened)
        opened.page.on("response", hear)
        opened.page.set_viewport_size({"width": 1600, "height": 1500})
        opened.page.goto(url)
        return opened.page

    expect.set_options(timeout=PATIENCE_MS)
    yield go
    assert refused == []
    for opened in pages:
        assert opened.requests == []
        assert [error for error in opened.errors if not KNOWN.search(error)] == []


def test_the_table_shows_verdict_headline_and_what_differs_best_first(
    link: str, runs: "list[Run]", open_mlflow: Callable[[str], Page], screenshot: Callable[[Page, str], Path]
) -> None:
    page = open_mlflow(link)
    expect(page.get_by_text("4 matching runs")).to_be_visible()
    heads = page.locator(".ag-header-cell")
    for column in ("verdict", "backtest/mean_net_bps", "test/auc", "test/brier_skill", "test/ece", "model.name"):
        expect(heads.filter(has_text=column).first).to_be_visible()
    expect(heads.filter(has_text="label.horizon")).to_be_visible()
    names = page.locator(".ag-row a").filter(has_text=re.compile(r"^(gru|linear)-h\d$"))
    expect(names).to_have_text([run.info.run_name for run in runs])
    for run in runs:
        expect(page.get_by_text(run.data.tags["verdict"], exact=True).first).to_be_visible()
    note = page.get_by_text(re.compile(r"^4 runs: "))
    expect(note.first).to_be_visible()
    screenshot(page, "mlflow-runs")


def test_charts_show_what_differs_and_the_windows_over_time(
    link: str, open_mlflow: Callable[[str], Page], screenshot: Callable[[Page, str], Path]
) -> None:
    page = open_mlflow(f"{link}&compareRunsMode=CHART")
    for text in ("What differs, and what came of it", "Window by window", "Parallel Coordinates"):
        expect(page.get_by_text(text)).to_be_visible()
    for metric in ("window/backtest/mean_net_bps", "window/test/auc"):
        expect(page.get_by_text(metric, exact=True).first).to_be_visible()
    expect(page.locator(".xtitle").filter(has_text="Time").first).to_be_visible()
    expect(page.locator(".xtick").filter(has_text=re.compile(r"[A-Z][a-z]{2} \d|20\d\d")).first).to_be_visible()
    expect(page.locator("svg.parcoords, .parcoords svg, canvas").first).to_be_attached()
    page.wait_for_timeout(2_000)
    screenshot(page, "mlflow-charts")


def test_the_list_of_runs_works_without_the_view(link: str, open_mlflow: Callable[[str], Page]) -> None:
    page = open_mlflow(link.replace("&viewStateShareKey=botscalp", ""))
    for name in ("gru-h3", "linear-h6"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    page.get_by_text("Views", exact=True).click()
    page.get_by_role("menuitem", name="botscalp").click()
    expect(page.locator(".ag-header-cell").filter(has_text="verdict")).to_be_visible()


def test_a_run_says_its_verdict_at_once_and_shows_its_report_and_windows(
    link: str, runs: "list[Run]", open_mlflow: Callable[[str], Page], screenshot: Callable[[Page, str], Path]
) -> None:
    run = runs[0]
    at = f"{link.partition('/runs?')[0]}/runs/{run.info.run_id}"
    page = open_mlflow(at)
    first = run.data.tags["mlflow.note.content"].splitlines()[0].replace("*", "")
    expect(page.get_by_text(first)).to_be_visible()
    expect(page.get_by_text(re.compile("^walk-forward$", re.IGNORECASE))).to_be_visible()
    metrics = page.get_by_role("link", name=re.compile(r"^(backtest|test|window|val|time)\b"))
    expect(metrics.first).to_have_text("backtest/mean_net_bps")
    screenshot(page, "mlflow-run")

    page = open_mlflow(at.replace("/#", "/?n=1#") + "/artifacts/report.html")
    report = page.frame_locator("iframe")
    expect(report.get_by_text(run.data.tags["verdict"], exact=True).first).to_be_visible()
    screenshot(page, "mlflow-report")

    page = open_mlflow(at.replace("/#", "/?n=2#") + "/artifacts/tables/windows.json")
    expect(page.get_by_role("columnheader", name="mean_net_bps").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"^[+-]\d+\.\d\d \[.*\]$")).first).to_be_visible()
    screenshot(page, "mlflow-windows")


def test_the_comparison_begins_with_what_trades_earn(
    link: str, runs: "list[Run]", open_mlflow: Callable[[str], Page], screenshot: Callable[[Page, str], Path]
) -> None:
    ids, experiment = json.dumps([run.info.run_id for run in runs]), runs[0].info.experiment_id
    page = open_mlflow(f'{link.partition("#")[0]}#/compare-runs?runs={ids}&experiments=["{experiment}"]')
    chosen = page.locator(".ant-select-selection-item, [class*=select-selection-item]").filter(has_text="/")
    expect(chosen.first).to_contain_text("backtest/mean_net_bps")
    screenshot(page, "mlflow-compare")
