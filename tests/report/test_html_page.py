"""What all pages share: they need nothing beside them, escape what comes from outside, and have names for everything."""

import pandas as pd
import pytest
from documents import document
from jinja2 import UndefinedError
from jinja2.exceptions import TemplateRuntimeError

from botscalp.report.page import _environment, rendered
from botscalp.report.tables import Table

PAGE = """{% extends "base.html.j2" %}{% from "parts.html.j2" import figure, table, mark %}
{% block title %}{{ title }}{% endblock %}
{% block nav %}<li><a href="#one">One</a></li>{% endblock %}
{% block main %}<section id="one">{{ table(shown) }}{{ mark(word) }}</section>{% endblock %}"""


def page(**context: object) -> str:
    shown = Table(caption="Costs & gains", columns=["name", "net"], rows=[["<i>a</i>", "-1.00 [-2.00, +0.50]"]])
    return _environment().from_string(PAGE).render(**{"title": "A page", "word": "fail", "shown": shown, **context})


def test_a_page_is_whole_and_begins_with_a_way_past_its_links() -> None:
    parsed = document(page())
    assert parsed.all("html")[0].attributes["lang"] == "en"
    assert parsed.all("a")[0].attributes == {"class": "skip", "href": "#main"}
    assert parsed.all("main")[0].attributes["id"] == "main"
    assert next(one.attributes["name"] for one in parsed.all("meta") if "name" in one.attributes) == "viewport"


def test_the_dark_is_for_screens_alone() -> None:
    style = document(page()).style
    assert "@media screen and (prefers-color-scheme: dark)" in style
    light, dark = style.index("--surface: #ffffff"), style.index("--surface: #0d1117")
    assert light < style.index("@media screen") < dark


def test_text_from_outside_stays_text() -> None:
    parsed = document(page(title="<script>alert(1)</script>", word='"><b>'))
    assert len(parsed.all("script")) == 1 and not parsed.all("b") and not parsed.all("i")
    assert "<i>a</i>" in parsed.text and "Costs & gains" in parsed.text


def test_a_name_that_the_context_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="outcome"):
        rendered("report.html.j2", title="a")


def test_a_page_without_a_title_is_an_error() -> None:
    untitled = '{% extends "base.html.j2" %}{% block nav %}{% endblock %}{% block main %}{% endblock %}'
    with pytest.raises(TemplateRuntimeError, match="title"):
        _environment().from_string(untitled).render()


def test_a_table_can_be_reached_and_names_its_cells() -> None:
    parsed = document(page())
    scroller = next(one for one in parsed.all("div") if one.attributes["class"] == "scroller")
    assert scroller.attributes | {"class": ""} == {
        "class": "",
        "tabindex": "0",
        "role": "region",
        "aria-label": "Costs & gains",
    }
    assert [one.attributes["scope"] for one in parsed.all("th")] == ["col", "col", "row"]
    assert len(parsed.all("caption")) == 1


def test_columns_of_figures_are_aligned_to_the_right() -> None:
    rows = [["as set", "-1.00 [-2.00, +0.50]", "2", "n/a"], ["none", "n/a", "2024-01-01", "twice"]]
    table = Table(caption="", columns=["costs", "net", "since", "words"], rows=rows)
    assert [table.is_figure(column) for column in range(4)] == [False, True, True, False]


def test_a_frame_becomes_a_table_of_its_columns() -> None:
    frame = pd.DataFrame({"window": [0, 1], "AUC": ["0.51", "0.52"]}, index=[7, 8])
    table = Table.of(frame, "Windows")
    assert (table.columns, table.rows) == (["window", "AUC"], [["0", "0.51"], ["1", "0.52"]])


def test_a_row_that_is_too_short_is_noticed() -> None:
    with pytest.raises(AssertionError, match="Costs"):
        Table(caption="Costs", columns=["a", "b"], rows=[["1"]])


def test_a_folded_table_unfolds_on_paper() -> None:
    folded = Table(caption="Dates", columns=["a"], rows=[["1"]], folded=True)
    details = document(page(shown=folded)).all("details")
    assert [one.attributes["class"] for one in details] == ["on-paper"]


def test_a_table_as_text_has_its_columns_below_each_other_and_sentences_last() -> None:
    sentence = "the mean trade would earn at twice the costs that were set, in bps"
    rows = [["auc", "ranks", "0.5348 [0.5260, 0.5428]"], ["costs", sentence, "n/a"]]
    assert [*Table(caption="Rules", columns=["name", "words", "figure"], rows=rows).lines()] == [
        "Rules",
        "  name                    figure  words",
        "  auc    0.5348 [0.5260, 0.5428]  ranks",
        f"  costs                      n/a  {sentence}",
    ]
