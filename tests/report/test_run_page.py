"""A run's page: one file that needs nothing else, says what the summary says, and breaks at no gap in it."""

import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from documents import Document, document
from materials import a_material
from runs import Run, walk
from summaries import a_summary, a_symbol, rule, undefined

from botscalp.report import sections
from botscalp.report.answers import answers
from botscalp.report.page import FIGURES
from botscalp.report.run_page import FILE, write_report

PICTURES = (
    *("equity", "windows", "reliability", "histogram", "threshold_costs"),
    *("exits", "holding", "excursions", "clock", "regimes", "stages"),
)
SECTIONS = [
    *("verdict", "run", "equity", "windows", "reliability", "histogram", "threshold-costs", "anatomy", "regimes"),
    *("sizes", "sentinels", "luck", "periods", "baselines", "time"),
]
MOST_BYTES = 3_000_000
LOADING = {"src", "srcset", "action", "data", "poster", "background", "formaction"}
"""attributes by which a page fetches something"""


@pytest.fixture(scope="module")
def folder(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A run's folder with its page and all pictures."""
    return once("run-page", lambda made: write_report(made, a_summary(), a_material()))


@pytest.fixture(scope="module")
def page(folder: Path) -> Document:
    return document((folder / FILE).read_text())


@pytest.fixture
def without_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Document]:
    """without_pictures(summary): its page, all of whose pictures have nothing to draw; there the text alone counts."""
    for name in PICTURES:
        monkeypatch.setattr(sections, name, lambda *_: None)

    def written(summary: dict[str, Any]) -> Document:
        write_report(tmp_path, summary, a_material())
        return document((tmp_path / FILE).read_text())

    return written


def test_it_is_one_small_file_that_fetches_nothing(folder: Path, page: Document) -> None:
    assert (folder / FILE).stat().st_size < MOST_BYTES
    for element in page.elements:
        assert not LOADING & element.attributes.keys(), element
        assert element.tag not in {"link", "img", "iframe", "object", "embed", "base"}
        for key, value in element.attributes.items():
            if key.endswith("href"):
                assert value.startswith("#"), element
            assert "://" not in value or key.startswith("xmlns"), element
            assert not re.search(r"url\((?!#)", value), element
    assert "@import" not in page.style and "url(" not in page.style


def test_every_id_is_there_once_and_every_reference_leads_to_one(page: Document) -> None:
    assert len(page.ids) == len(set(page.ids))
    known = set(page.ids)
    for element in page.elements:
        for key, value in element.attributes.items():
            named = re.findall(r"url\(#([^)]+)\)", value)
            named += [value[1:]] if key.endswith("href") else []
            named += value.split() if key in {"aria-labelledby", "aria-describedby"} else []
            assert known.issuperset(named), element


def test_the_sections_stand_in_the_order_of_a_readers_questions(page: Document) -> None:
    links = [one.attributes["href"][1:] for one in page.all("a") if "nav" in one.inside]
    places = [one.attributes["id"] for one in page.elements if one.tag in {"section", "header"}]
    assert links == places == SECTIONS
    assert len(page.all("h1")) == 1


def test_every_picture_can_be_read_without_eyes(folder: Path, page: Document) -> None:
    drawings = page.all("svg")
    assert len(drawings) == len(PICTURES) == len(page.all("figure")) == len(page.all("figcaption"))
    for drawing in drawings:
        named, described = (drawing.attributes[f"aria-{key}"] for key in ("labelledby", "describedby"))
        assert drawing.attributes["role"] == "img"
        assert {named, described} < set(page.ids)
    assert len(list((folder / FIGURES).glob("*.png"))) == len(PICTURES)
    tables = [one for one in page.all("table") if "figure" in one.inside]
    assert len(tables) == len(PICTURES)


def test_headings_do_not_skip_a_level(page: Document) -> None:
    levels = [int(one.tag[1]) for one in page.elements if re.fullmatch("h[1-6]", one.tag)]
    assert levels[0] == 1
    assert all(later <= level + 1 for level, later in itertools.pairwise(levels))


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, a_summary(), a_material())
    assert (tmp_path / FILE).read_bytes() == (folder / FILE).read_bytes()


def test_it_begins_with_the_verdict_and_the_five_answers(page: Document) -> None:
    start = page.text.index("REJECTED")
    told = [page.text.index(answer) for answer in vars(answers(a_summary())).values()]
    assert [start, *told] == sorted([start, *told])


def test_rules_that_decided_come_before_the_others(page: Document) -> None:
    decided, aside, others = (
        page.text.index(text)
        for text in ("The mean trade earns after costs, in bps", "set aside by ann", "The other rules: 1 failed")
    )
    assert decided < aside < others < page.text.index("Ranks up above down, out of sample")


def test_a_figure_of_the_summary_reaches_the_page(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    changed = a_summary(
        backtest={"net_pnl": -3_141.59, "mean_net_bps": -27.18},
        periods={"test": {"trades": 1_618}},
        sizes=[dict(a_summary()["sizes"][0], contract=0.577)],
        trials={"count": 1_729},
        data={"digest": "abcdef012345" + 52 * "0"},
    )
    text = without_pictures(changed).text
    for planted in ("-3,141.59", "-27.18", "1,618", "0.577", "1,729", "abcdef012345"):
        assert planted in text


def test_several_symbols_stand_beside_the_portfolio(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    assert "common account" not in without_pictures(a_summary()).text
    symbols = [
        a_symbol("BTCUSDT", n=17_001, trades=1_301, net_pnl=-1_178.2),
        a_symbol("ETHUSDT", n=17_832, trades=1_266, net_pnl=-1_500.0),
    ]
    for summary in (a_summary(symbols=symbols), undefined(a_summary(symbols=symbols))):
        page = without_pictures(summary)
        sections_there = [one.attributes["id"] for one in page.all("section")]
        assert sections_there[sections_there.index("windows") + 1] == "symbols"
        for planted in ("ETHUSDT", "17,001", "1,266", "-1,500.00"):
            assert planted in page.text
        assert "None" not in page.text


@pytest.mark.parametrize("outcome", ["SUSPICIOUS", "REJECTED", "INCONCLUSIVE", "CANDIDATE"])
def test_every_verdict_is_named_and_explained(
    outcome: str, without_pictures: Callable[[dict[str, Any]], Document]
) -> None:
    decisive = {"SUSPICIOUS": "fired", "REJECTED": "fail", "INCONCLUSIVE": "undecided"}.get(outcome)
    rules = [rule("auc", "pass", 0.5348, 0.5, "ranks up above down")]
    if decisive:
        rules.append(rule("decisive", decisive, 1.0, 0.0, "a rule that decides"))
    reasons = ["decisive"] if decisive else []
    page = without_pictures(a_summary(verdict={"outcome": outcome, "reasons": reasons, "rules": rules}))
    assert f"{outcome}" in page.text
    folded = [one for one in page.all("details") if "section" not in one.inside]
    assert len(folded) == (1 if decisive else 0), "where nothing decided, all rules are in sight"
    assert page.text.count("A rule that decides") == (2 if outcome == "SUSPICIOUS" else 1 if decisive else 0)


def test_pictures_and_parts_that_are_missing_say_so(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    page = without_pictures(a_summary(trials=None))
    assert not page.all("svg")
    assert page.text.count("nothing to draw") >= 6
    assert "how often these test bars were tried before is not known" in page.text


def test_a_summary_without_a_figure_gives_a_page(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    page = without_pictures(undefined(a_summary()))
    assert "n/a" in page.text and "None" not in page.text and "nan" not in page.text


def test_a_run_that_never_traded_gives_a_page(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    summary = a_summary()
    nothing = undefined({"backtest": summary["backtest"]}) | {"trials": None, "mlflow": None}
    nothing["backtest"] |= {"trades": 0, "sharpe_undefined": "n/a (no trades)", "net_pnl": 0.0, "fees": 0.0}
    page = without_pictures(a_summary(**nothing))
    assert "no trade was made in 121 days" in page.text and "n/a (no trades)" in page.text


def test_text_from_settings_is_shown_as_text(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    evil = "<script>alert('x')</script>"
    page = without_pictures(a_summary(title=evil, settings={"model.name": evil}, overrides={"study": evil}))
    assert len(page.all("script")) == 1
    assert page.text.count(evil) >= 3


def test_the_command_survives_a_shell(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    overrides = {"data.path": "../a b/{symbol}-'5m'.parquet", "data.symbols": "[BTCUSDT,ETHUSDT]"}
    text = without_pictures(a_summary(overrides=overrides)).text
    command = text[text.index("python -m botscalp.train") : text.index(" Dates of the windows")]
    assert shlex.split(command)[3:] == [
        f"{key}={value}" for key, value in (a_summary()["overrides"] | overrides).items()
    ]


def test_simulated_bars_are_named_in_capitals(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    data = {"source": "simulated", "markets": ["simulated BTCUSDT 5m edge=0.08 seed=0"]}
    assert "gru-h3 on SIMULATED bars of BTCUSDT, 5m" in without_pictures(a_summary(data=data)).text
    assert "gru-h3 on REAL bars of BTCUSDT, 5m" in without_pictures(a_summary()).text


def test_sources_that_were_changed_are_told(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    assert "d14e24c51770, as committed" in without_pictures(a_summary()).text
    assert "with uncommitted changes" in without_pictures(a_summary(code={"dirty": True})).text
    assert "no commit is known" in without_pictures(a_summary(code={"commit": None, "dirty": None})).text


def test_thresholds_that_windows_chose_are_told(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    windows = [
        window | {"bracket": window["bracket"] | {"threshold": threshold}}
        for window, threshold in zip(a_summary()["windows"], (0.54, 0.52, 0.56, 0.54), strict=True)
    ]
    chosen = "own validation, oldest first: threshold: 0.54, 0.52, 0.56, 0.54."
    assert chosen in without_pictures(a_summary(windows=windows)).text
    assert "own validation, oldest first" not in without_pictures(a_summary()).text


def test_what_no_forecast_beats_is_told_where_it_is_known(
    without_pictures: Callable[[dict[str, Any]], Document],
) -> None:
    known = without_pictures(a_summary(simulated={"auc_attainable": 0.5544}))
    assert "the true probabilities have an AUC of 0.5544" in known.text
    assert "the true probabilities" not in without_pictures(a_summary(simulated={"auc_attainable": None})).text


def test_a_size_that_loses_the_account_is_told(without_pictures: Callable[[dict[str, Any]], Document]) -> None:
    sizes = [dict(row, max_drawdown=deep) for row, deep in zip(a_summary()["sizes"], (-0.2, -1.0, -2.9), strict=True)]
    assert without_pictures(a_summary(sizes=sizes)).text.count("the account is lost") == 2


def test_a_finished_run_has_its_page(finished: Run) -> None:
    html = (finished.folder / FILE).read_text()
    page = document(html)
    assert finished.summary["verdict"]["outcome"] in page.text
    assert len(page.ids) == len(set(page.ids))
    assert len(page.all("svg")) == len(list((finished.folder / FIGURES).glob("*.png"))) > 6


@pytest.mark.slow
def test_a_run_without_trades_has_a_page(tmp_path: Path) -> None:
    run = walk(tmp_path / "run", "report=true", "backtest.threshold=0.99")
    assert run.summary["backtest"]["trades"] == 0
    page = document((run.folder / FILE).read_text())
    assert "There are no trades, so there is nothing to draw." in page.text
    assert len(page.all("svg")) == len(list((run.folder / FIGURES).glob("*.png")))
