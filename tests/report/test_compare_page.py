"""The page of a comparison: one file, whole and escaped, that says of every run what compare.json says."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from comparisons import DAYS, a_comparison, a_run, an_estimate, curves_of
from documents import Document, document
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pictures import clipped, foreign_colours, overlapping
from runs import quiet_libraries

from botscalp.report.compare_page import FILE, colour, write_compare_page
from botscalp.report.compare_tables import duration, rule_results
from botscalp.report.compared import Found, earning, listed, names, standings
from botscalp.report.drawing import Picture
from botscalp.report.figures.overlay import MOST, NAMED, overlay
from botscalp.report.figures.parallel import MISSING, figure_axis, key_axis, parallel
from botscalp.report.figures.ranking import Panel, limits, ranking
from botscalp.report.figures.search_luck import search_luck
from botscalp.report.page import FIGURES

MOST_BYTES = 3_000_000
PICTURES = {"ranking", "parallel", "overlay", "search_luck"}


def written(folder: Path, found: Found) -> Document:
    write_compare_page(folder, found, curves_of(found["runs"]))
    return document((folder / FILE).read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("compared")
    written(made, a_comparison())
    return made


@pytest.fixture(scope="module")
def page(folder: Path) -> Document:
    return document((folder / FILE).read_text())


def lines_of(figure: Figure) -> dict[str, Line2D]:
    """The lines that have a name, by it."""
    return {line.get_gid() or "": line for axes in figure.axes for line in axes.lines if line.get_gid()}


def test_it_is_one_file_that_fetches_nothing(folder: Path, page: Document) -> None:
    assert {path.stem for path in (folder / FIGURES).iterdir()} == PICTURES
    for element in page.elements:
        assert element.tag not in {"link", "img", "iframe", "object", "embed", "base"}, element
        assert not {"src", "srcset", "action", "data", "poster"} & element.attributes.keys(), element
        for key, value in element.attributes.items():
            assert "://" not in value or key.startswith("xmlns"), element
            assert not re.search(r"url\((?!#)", value), element
    assert "@import" not in page.style and "url(" not in page.style


def test_every_id_is_there_once_and_every_reference_leads_to_one(page: Document) -> None:
    assert len(page.ids) == len(set(page.ids))
    for element in page.elements:
        for key, value in element.attributes.items():
            named = re.findall(r"url\(#([^)]+)\)", value)
            named += [value[1:]] if key.endswith("href") and value.startswith("#") else []
            named += value.split() if key in {"aria-labelledby", "aria-describedby"} else []
            assert set(page.ids).issuperset(named), element
    assert {link.attributes["href"] for link in page.all("a") if "nav" in link.inside} == {
        f"#{section}"
        for section in (
            *("conclusion", "compared", "ranking", "settings", "accounts", "luck", "verdicts", "cost", "runs"),
        )
    }


def test_every_picture_has_its_words_and_its_numbers(page: Document) -> None:
    shown = [svg.attributes for svg in page.all("svg")]
    assert {svg["aria-labelledby"] for svg in shown} == {f"{name}-title" for name in PICTURES}
    assert all(svg["role"] == "img" for svg in shown)
    assert len(page.all("figcaption")) == len(page.all("figure")) == len(PICTURES)


def test_it_says_of_every_run_where_it_is_and_how_it_ended(page: Document) -> None:
    found = a_comparison()
    for name, run in zip(names(found), found["runs"], strict=True):
        assert all(text in page.text for text in (name, run["run"], run["folder"], run["verdict"]))
    assert page.text.index(found["conclusion"]) < page.text.index("UTC days that all runs")
    assert "NOT MORE THAN LUCK" in page.text and "REAL, BTCUSDT 5m" in page.text
    assert (
        "500 on these days" in page.text and "1 FAILED and 2 KILLED" in page.text and "4 min 10 s of runs" in page.text
    )


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>&\"<b>"
    runs = [a_run(rank, -rank, title=evil, differs={f"key{evil}": f"{evil}{rank}"}, device=evil) for rank in (1, 2)]
    page = written(tmp_path, a_comparison(study=evil, runs=runs, markets=[evil], conclusion=evil))
    assert len(page.all("script")) == 1 and not page.all("b")
    assert page.text.count(evil) > 5


def test_a_report_is_linked_where_the_run_wrote_one(tmp_path: Path) -> None:
    there = tmp_path / "runs" / "a b#1"
    there.mkdir(parents=True)
    (there / "report.html").touch()
    runs = [a_run(1, 2.0, folder=str(there)), a_run(2, 1.0)]
    (tmp_path / "out").mkdir()
    page = written(tmp_path / "out", a_comparison(runs=runs))
    links = [link.attributes["href"] for link in page.all("a") if "table" in link.inside]
    assert links == ["../runs/a%20b%231/report.html"]


@pytest.mark.parametrize(
    ("more_than_luck", "verdict", "expected"),
    [
        (True, "CANDIDATE", "candidate"),
        (True, "INCONCLUSIVE", "inconclusive"),
        (True, "SUSPICIOUS", "rejected"),
        (False, "CANDIDATE", "rejected"),
        (None, "CANDIDATE", "inconclusive"),
        (None, "REJECTED", "rejected"),
    ],
)
def test_the_conclusion_is_green_only_where_all_speaks_for_the_best(
    more_than_luck: bool | None, verdict: str, expected: str
) -> None:
    assert colour(more_than_luck, verdict) == expected


def test_few_days_and_named_runs_leave_a_page(tmp_path: Path) -> None:
    found = a_comparison(2, study=None, unfinished=None, more_than_luck=None, markets=["simulated BTCUSDT 5m seed=0"])
    found["luck"] |= {"spa_p": None, "pbo": None, "deflated": None, "undefined": "40 days in common, and it takes 60"}
    found["luck"]["measures"] = [{**one, "value": None, "result": "undecided"} for one in found["luck"]["measures"]]
    for run in found["runs"]:
        nothing = an_estimate(None, 0)
        run |= {
            "auc": nothing,
            "log_loss": nothing,
            "brier_skill": nothing,
            "mean_net_bps": nothing,
            "sharpe": nothing,
            "baselines": {},
        }
        run |= {"daily_sharpe": None, "differs": {}}
    found["runs"][1]["standing"] = "cannot be told"
    page = written(tmp_path, found)
    assert "figure-search_luck" not in page.ids
    for words in ("SIMULATED", "named one by one", "40 days in common", "too few to tell", "no key that changes"):
        assert words.lower() in page.text.lower(), words


@pytest.mark.parametrize("runs", [2, 200])
def test_two_runs_and_two_hundred_are_a_page(runs: int, tmp_path: Path) -> None:
    found = a_comparison(runs)
    curves = curves_of(found["runs"])
    start = time.process_time()
    write_compare_page(tmp_path, found, curves)
    assert time.process_time() - start < 10
    html = (tmp_path / FILE).read_text()
    assert len(html) < MOST_BYTES
    page = document(html)
    assert all(name in page.text for name in names(found))
    assert len(rule_results(found).runs) == min(runs, 12) and ("best runs are beside" in page.text) == (runs > 12)


def test_who_may_be_the_best_is_said_and_who_is_worse() -> None:
    found = a_comparison(5)
    said = standings(found)
    assert said == (
        "By net PnL a day #2 gru-h2 and #3 gru-h3 cannot be told from the best, #1 gru-h1; "
        "#4 gru-h4 and #5 gru-h5 are worse by more than chance explains."
    )
    assert said in ranking(found).reading
    assert standings(a_comparison(3)).endswith("#1 gru-h1: which of them is best is open.")
    found = a_comparison(2)
    found["runs"][1]["standing"] = "worse"
    assert standings(found) == "By net PnL a day every other run is worse than #1 gru-h1 by more than chance explains."
    assert "#6 gru-h6" in standings(a_comparison(6)) and "and 6 more are worse" in standings(a_comparison(15))


def test_whether_any_earns_is_said() -> None:
    pnl = {(1.0, 2.0): "Every run earns", (-1.0, -2.0): "the best loses least", (0.0, 0.0): "common days."}
    for (first, second), words in pnl.items():
        assert words in earning({"runs": [a_run(1, first), a_run(2, second)]})
    assert earning(a_comparison(4)).startswith("2 of 4 runs earn")


def test_the_ranking_draws_the_figures_from_the_best_down() -> None:
    found = a_comparison(4)
    picture = ranking(found)
    left, middle, right = picture.figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == names(found)
    assert left.yaxis_inverted()
    for axes, name, best in ((left, "daily_pnl_less_best", 0.0), (middle, "mean_net_bps", 0.4), (right, "auc", 0.5299)):
        dots = [line for line in axes.lines if line.get_gid()]
        values = [best, *(run[name]["value"] for run in found["runs"][1:])]
        assert [(float(dot.get_xdata()[0]), dot.get_ydata()[0]) for dot in dots] == [
            (pytest.approx(value), rank) for rank, value in enumerate(values)
        ]
        whiskers = {line.get_ydata()[0]: tuple(line.get_xdata()) for line in axes.lines if _is_level(line)}
        ends = {rank: (run[name]["low"], run[name]["high"]) for rank, run in enumerate(found["runs"])}
        assert whiskers == {rank: pair for rank, pair in ends.items() if pair[0] is not None}
    assert picture.table["run"].tolist() == names(found)


def _is_level(line: Line2D) -> bool:
    """Whether it is a whisker."""
    y = line.get_ydata()
    return len(y) == 2 and y[0] == y[1]


def test_one_wide_whisker_does_not_press_the_others_together() -> None:
    estimates = [*(an_estimate(value, 1.0) for value in (-2.0, 0.0, 1.0)), an_estimate(0.0, 500.0)]
    estimates.append({"value": 300.0, "low": None, "high": None})
    low, high = limits(Panel(title="", estimates=estimates, references={"flat": 3.0}, linear=[None, -6.0]))
    assert -8 < low < -6 and 4 < high < 5


def test_positions_on_parallel_axes_are_the_scaled_inputs() -> None:
    runs = [
        a_run(rank, pnl, differs={"lr": lr, "model": model} | ({"lags": lags} if lags else {}))
        for rank, (pnl, lr, model, lags) in enumerate(
            [(4.0, "0.001", "GRU", "4"), (1.0, "0.004", "Linear", None), (-6.0, "0.003", "Tree", "20")], start=1
        )
    ]
    drawn = lines_of(parallel(a_comparison(runs=runs)).figure)
    lr, model, lags, auc, skill, bps, pnl = np.array([drawn[f"run-{rank}"].get_ydata() for rank in (1, 2, 3)]).T
    assert lr == pytest.approx([0, 1, 2 / 3])
    assert model == pytest.approx([0, 0.5, 1])
    assert lags == pytest.approx([0, MISSING, 1])
    assert auc == pytest.approx([1, 0.5, 0])
    assert skill == pytest.approx([0.5] * 3)
    assert bps == pytest.approx([1, 0.7, 0]) == pnl
    assert [tuple(drawn[f"run-{rank}"].get_xdata()) for rank in (1, 2, 3)] == [tuple(range(7))] * 3


def test_axes_of_keys() -> None:
    rates = key_axis("lr", ["0.0001", "0.01", "0.001"])
    assert rates.name == "lr (log)" and rates.position == pytest.approx([0, 1, 0.5])
    assert key_axis("seed", ["-1", "0", "999"]).position == pytest.approx([0, 0.001, 1])
    words = key_axis("x", ["10", "nan", None])
    assert words.position == pytest.approx([0, 1, MISSING]) and (MISSING, "none") in words.ticks
    assert len(key_axis("x", [f"word{number}" for number in range(100)]).ticks) <= 12
    assert len(key_axis("x", [str(number) for number in range(100)]).ticks) <= 9


def test_axes_of_figures() -> None:
    axis = figure_axis("PnL", [-1.0, 3.0, None], "+.1f")
    assert axis.position == pytest.approx([0, 1, MISSING])
    assert axis.ticks == [(MISSING, "none"), (0.0, "-1.0"), (0.25, "0"), (1.0, "+3.0")]
    assert figure_axis("PnL", [None, None], "+.1f").position.tolist() == [MISSING, MISSING]


def test_accounts_start_at_0_and_add_up() -> None:
    found = a_comparison(NAMED + 2)
    curves = curves_of(found["runs"])
    picture = overlay(found, curves)
    drawn = lines_of(picture.figure)
    assert len(drawn) == NAMED
    for rank, run in enumerate(found["runs"][:NAMED], start=1):
        line = np.asarray(drawn[f"run-{rank}"].get_ydata(), float)
        assert len(line) == DAYS + 1 and line[0] == 0.0
        assert np.diff(line) == pytest.approx(curves[run["run"]]["pnl_quote"].to_numpy())
        assert line[-1] == pytest.approx(run["daily_pnl"] * DAYS)
    assert "2 more are grey" in picture.reading and picture.table["net PnL"][0] == "+180.00"
    many = a_comparison(MOST + 1)
    assert "1 are not drawn" in overlay(many, curves_of(many["runs"])).reading


def test_the_measures_of_luck_are_said_beside_their_lines() -> None:
    picture = search_luck(a_comparison())
    assert picture is not None
    for words in ("SPA p is 0.300 (above 0.05)", "PBO is 0.100 (not above 0.2)", "ratio is 0.400 (below 0.95)", "500"):
        assert words in picture.reading


@pytest.mark.parametrize("runs", [2, 12, 31])
def test_pictures_keep_to_the_rules(runs: int) -> None:
    found = a_comparison(runs)
    pictures = [ranking(found), parallel(found), overlay(found, curves_of(found["runs"])), search_luck(found)]
    for picture in pictures:
        assert isinstance(picture, Picture)
        with quiet_libraries():
            assert clipped(picture.figure) == [], picture.name
            assert overlapping(picture.figure) == [], picture.name
            assert foreign_colours(picture) == set(), picture.name


def test_words() -> None:
    assert (
        listed(["a"]) == "a"
        and listed(["a", "b"]) == "a and b"
        and listed(list("abcdefgh"), most=3) == "a, b, c and 5 more"
    )
    assert [duration(s) for s in (12.34, 215, 7_500)] == ["12.3 s", "3 min 35 s", "2 h 05 min"]
