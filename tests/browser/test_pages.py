"""The report of a run and the page of a comparison, as people meet them in a browser."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from appearance import (
    FIGURE,
    bare_figures,
    blank_figures,
    faint_texts,
    hidden_words,
    sideways_scroll,
    squeezed_cells,
    tiny_texts,
    untold_figures,
    wrong_ground,
)
from opened import Opened, in_sandbox
from operation import (
    axe_violations,
    complaints,
    dead_navigation,
    dead_skip_link,
    stuck_folds,
    too_large,
    unreachable,
)
from playwright.sync_api import Page
from runs import Run

pytestmark = pytest.mark.slow

VIEWS: dict[str, dict[str, bool]] = {"light": {}, "dark": {"dark": True}, "phone": {"phone": True}}


@pytest.fixture(params=["report", "compare", "search"])
def path(request: pytest.FixtureRequest) -> Path:
    """A page's file."""
    if request.param == "report":
        return Path(request.getfixturevalue("real_run").folder) / "report.html"
    if request.param == "search":
        return Path(request.getfixturevalue("found")) / "search.html"
    return Path(request.getfixturevalue("comparison")) / "compare.html"


@pytest.fixture
def page(path: Path, open_page: Callable[..., Opened]) -> Page:
    """The page as it opens."""
    return open_page(path.as_uri()).page


@pytest.mark.parametrize("view", VIEWS)
def test_all_of_it_is_to_be_seen(
    path: Path, view: str, open_page: Callable[..., Opened], screenshot: Callable[[Page, str], Path]
) -> None:
    opened = open_page(path.as_uri(), **VIEWS[view])
    screenshot(opened.page, f"{path.stem}-{view}")
    assert complaints(opened) + blank_figures(opened.page) + faint_texts(opened.page) == []
    assert wrong_ground(opened.page, dark=view == "dark") + axe_violations(opened.page) == []
    if view == "phone":
        assert sideways_scroll(opened.page) + tiny_texts(opened.page) + squeezed_cells(opened.page) == []


def test_every_figure_says_what_it_shows(page: Page) -> None:
    assert untold_figures(page) + bare_figures(page) == []


@pytest.mark.parametrize("check", [dead_skip_link, unreachable, stuck_folds])
def test_the_keyboard_goes_everywhere(page: Page, check: Callable[[Page], list[str]]) -> None:
    assert check(page) == []


def test_it_works_without_scripts(path: Path, open_page: Callable[..., Opened]) -> None:
    opened = open_page(path.as_uri(), scripts=False)
    assert complaints(opened) + blank_figures(opened.page) == []
    assert dead_navigation(opened.page) + stuck_folds(opened.page) == []


def test_it_works_in_the_frame_of_mlflow(path: Path, open_page: Callable[..., Opened], tmp_path: Path) -> None:
    opened = in_sandbox(open_page, path, tmp_path)
    assert dead_navigation(opened.page.frames[1]) + complaints(opened) == []


def test_paper_is_light_whatever_the_screen_is(path: Path, open_page: Callable[..., Opened]) -> None:
    page = open_page(path.as_uri(), dark=True).page
    page.emulate_media(media="print")
    assert wrong_ground(page, dark=False) + faint_texts(page) + blank_figures(page) == []


def test_it_is_small_enough_to_be_sent_around(path: Path) -> None:
    assert too_large(path) == []


def test_a_report_begins_with_its_verdict(real_run: Run, open_page: Callable[..., Opened]) -> None:
    page = open_page((real_run.folder / "report.html").as_uri()).page
    verdict = real_run.summary["verdict"]
    deciding = [rule["words"] for rule in verdict["rules"] if rule["name"] in verdict["reasons"]]
    assert hidden_words(page, [verdict["outcome"]], at_once=True) == []
    assert deciding and hidden_words(page, deciding) == []


def test_a_report_shows_every_picture_of_its_folder(real_run: Run, open_page: Callable[..., Opened]) -> None:
    page = open_page((real_run.folder / "report.html").as_uri()).page
    pictures = sorted(path.stem for path in (real_run.folder / "figures").glob("*.png"))
    shown = [svg.get_attribute("aria-labelledby") for svg in page.locator(FIGURE).all()]
    assert len(pictures) > 8 and sorted(shown) == [f"{name}-title" for name in pictures]


def test_a_comparison_names_every_run_and_leads_to_its_report(
    comparison: Path, open_page: Callable[..., Opened]
) -> None:
    page = open_page((comparison / "compare.html").as_uri()).page
    titles = [run["title"] for run in json.loads((comparison / "compare.json").read_text())["runs"]]
    assert len(titles) == 4 and hidden_words(page, titles) == []
    for title in titles:
        page.get_by_role("link", name=title, exact=True).click()
        assert title in page.title()
        page.go_back()
