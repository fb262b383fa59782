"""The checks of pages find what they look for: a sound page passes them all, and one with a planted fault fails one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from appearance import (
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
    MOST_BYTES,
    axe_violations,
    complaints,
    dead_navigation,
    dead_skip_link,
    stuck_folds,
    too_large,
    unreachable,
)
from playwright.sync_api import Page

pytestmark = pytest.mark.slow

SOUND = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A sound page</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --ground: #ffffff; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --ground: #0d1117; } }
body { background: var(--ground); color: var(--ink); }
a, summary { color: var(--ink); }
.skip { position: absolute; left: -100vw; } .skip:focus { left: 0; }
section { min-height: 1200px; }
svg { width: 100%; }
.scroller { overflow-x: auto; } td { min-width: 1500px; display: block; }
</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<nav aria-label="Sections"><a href="#first">First</a> <a href="#second">Second</a></nav>
<main id="main" tabindex="-1">
<section id="first"><h1>REJECTED</h1></section>
<section id="second"><h2>Figures</h2>
<figure>
<svg viewBox="0 0 400 100" role="img" aria-labelledby="a-title" aria-describedby="a-desc">
<title id="a-title">Does it earn?</title><desc id="a-desc">It loses 9.52 bps a trade.</desc>
<rect width="200" height="100" fill="#1b4f72"/><g fill="#ffffff"><text x="10" y="50">in a cell, eight</text></g>
<g style="fill: var(--ink)"><text x="220" y="50">beside the cell</text><circle cx="300" cy="80" r="9"/></g>
</svg>
<figcaption>It loses 9.52 bps a trade.</figcaption>
<details><summary>The numbers</summary>
<div class="scroller" tabindex="0" role="region" aria-label="Numbers"><table><tr><th>a</th><td>1</td></tr></table></div>
</details>
</figure>
</section>
</main>
<script>
if (window.parent !== window)
  document.addEventListener("click", event => {
    event.preventDefault();
    document.querySelector(event.target.getAttribute("href")).scrollIntoView();
  });
</script>
</body>
</html>
"""
DRAWN_AGAIN = SOUND[SOUND.index("<svg") : SOUND.index("<rect")].replace('"a-', '"b-') + "</svg>"
SQUEEZED = f"<table><tr><th style='max-width: 2em'>{'one two three ' * 5}</th></tr></table><h1>"
STUCK = """document.querySelector("summary").addEventListener("click", event => event.preventDefault());"""
DRAWING = SOUND[SOUND.index("<rect") : SOUND.index("</svg>")]
Check = Callable[[Page], list[str]]


def hidden_verdict(page: Page) -> list[str]:
    return hidden_words(page, ["REJECTED"], at_once=True)


CHECKS: tuple[Check, ...] = (
    *(blank_figures, untold_figures, bare_figures, hidden_verdict, faint_texts, tiny_texts, squeezed_cells),
    *(axe_violations, dead_skip_link, unreachable, stuck_folds, dead_navigation),
)
IN_SIGHT: dict[str, tuple[str, str, Check, str]] = {
    "an empty drawing": (DRAWING, "", blank_figures, "a-title is blank"),
    "a drawing of one colour": (DRAWING, '<rect width="200" height="100"/>', blank_figures, "a-title is blank"),
    "a drawing not shown": ("svg { width: 100%; }", "svg { display: none; }", blank_figures, "a-title cannot be seen"),
    "no drawing": ('role="img"', "", blank_figures, "no figure"),
    "no title": (">Does it earn?</title>", "></title>", untold_figures, "figure 1 has no title"),
    "a title of another id": ('id="a-title"', 'id="b"', untold_figures, "figure 1 has no title"),
    "no number told": (
        "loses 9.52 bps a trade.</desc>",
        "loses.</desc>",
        untold_figures,
        "no description with a number",
    ),
    "a title given twice": ("</section>\n</main>", f"{DRAWN_AGAIN}</section></main>", untold_figures, "of two figures"),
    "no caption": ("<figcaption>", "<figcaption hidden>", bare_figures, "no caption"),
    "no table": ("<td>1</td>", "", bare_figures, "no table"),
    "a hidden verdict": ("<h1>", '<h1 style="display: none">', hidden_verdict, "'REJECTED' cannot be seen"),
    "a verdict far below": ("<h1>", '<h1 style="padding-top: 1000px">', hidden_verdict, "seen without scrolling"),
    "a faint text": ("--ink: #1b1f24", "--ink: #bbbbbb", faint_texts, "'beside the cell' in a-title"),
    "a faint text on a cell": ('fill="#ffffff"', 'fill="#30363d"', faint_texts, "'in a cell, eight' in a-title"),
    "no text": (DRAWING, "", faint_texts, "no text in any figure"),
    "a tiny text": ("svg {", "text { font-size: 2px; } svg {", tiny_texts, "'beside the cell' in a-title is 5.5 px"),
    "a squeezed cell": ("<h1>", SQUEEZED, squeezed_cells, "one two three"),
    "a faint paragraph": ("<h1>", '<p style="color: #bbb">faint</p><h1>', axe_violations, "color-contrast"),
}
"""what is replaced by what, the check that finds it, and what the check says"""
SKIP = '<a class="skip" href="#main">Skip to the content</a>'
IN_USE: dict[str, tuple[str, str, Check, str]] = {
    "no language": ('lang="en"', "", axe_violations, "html-has-lang"),
    "no skip link": (SKIP, "<button>menu</button>", dead_skip_link, "leads to no link"),
    "a skip link out of sight": (".skip:focus { left: 0; }", "", dead_skip_link, "no link that can be seen"),
    "a skip link to nowhere": (SKIP, SKIP.replace("#main", "#mian"), dead_skip_link, "past the main part"),
    "a fold passed over": ("<summary>", '<summary tabindex="-1">', unreachable, "Tab does not reach <summary"),
    "a scroller passed over": (
        'tabindex="0"',
        'tabindex="-1"',
        unreachable,
        'Tab does not reach <div class="scroller"',
    ),
    "a focus not shown": ("section {", ":focus { outline: none; } section {", unreachable, "show that Tab is at"),
    "a stuck fold": ("<script>", f"<script>{STUCK}", stuck_folds, "'The numbers' does not unfold"),
    "a link to nowhere": ('href="#second"', 'href="#third"', dead_navigation, "'Second' leads to nothing"),
    "no navigation": ("<nav ", "<nav hidden ", dead_navigation, "no navigation"),
}
ON_LOADING: dict[str, str] = {
    '<img src="http://example.com/a.png" alt="a">': "asks for http://example.com/a.png",
    "<script>nothing();</script>": "nothing is not defined",
    "<script>console.error('worn out')</script>": "worn out",
}


@pytest.fixture
def opened_text(open_page: Callable[..., Opened], tmp_path: Path) -> Callable[..., Opened]:
    def write(text: str, **how: bool) -> Opened:
        (tmp_path / "page.html").write_text(text)
        return open_page((tmp_path / "page.html").as_uri(), **how)

    return write


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_page_passes(opened_text: Callable[..., Opened], check: Check) -> None:
    opened = opened_text(SOUND)
    assert check(opened.page) + complaints(opened) == []


@pytest.mark.parametrize(("old", "new", "check", "words"), (IN_SIGHT | IN_USE).values(), ids=IN_SIGHT | IN_USE)
def test_a_planted_fault_is_found(
    opened_text: Callable[..., Opened], old: str, new: str, check: Check, words: str
) -> None:
    assert check in CHECKS and old in SOUND
    assert words in " ".join(check(opened_text(SOUND.replace(old, new)).page))


@pytest.mark.parametrize("added", ON_LOADING)
def test_a_complaint_is_heard(opened_text: Callable[..., Opened], added: str) -> None:
    opened = opened_text(SOUND.replace("<h1>", f"{added}<h1>"))
    assert ON_LOADING[added] in " ".join(complaints(opened))


def test_a_dark_page_is_asked_for(opened_text: Callable[..., Opened]) -> None:
    assert wrong_ground(opened_text(SOUND, dark=True).page, dark=True) == []
    assert wrong_ground(opened_text(SOUND).page, dark=False) == []
    always_light = SOUND.replace("--ground: #0d1117", "--ground: #ffffff")
    assert "luminance is 1.00" in wrong_ground(opened_text(always_light, dark=True).page, dark=True)[0]
    assert wrong_ground(opened_text(SOUND, dark=True).page, dark=False) != []


def test_a_text_that_stays_dark_on_a_dark_page_is_found(opened_text: Callable[..., Opened]) -> None:
    assert faint_texts(opened_text(SOUND, dark=True).page) == []
    fixed = SOUND.replace('style="fill: var(--ink)"', 'style="fill: #1b1f24"')
    assert faint_texts(opened_text(fixed).page) == []
    assert "'beside the cell'" in faint_texts(opened_text(fixed, dark=True).page)[0]


def test_a_page_wider_than_a_phone_is_found(opened_text: Callable[..., Opened]) -> None:
    assert sideways_scroll(opened_text(SOUND, phone=True).page) == []
    wide = SOUND.replace("<h1>", '<h1 style="width: 600px">')
    assert "608 px wide on a phone of 390: <h1" in sideways_scroll(opened_text(wide, phone=True).page)[0]
    no_viewport = SOUND.replace('<meta name="viewport" content="width=device-width">', "")
    assert "980 px wide" in sideways_scroll(opened_text(no_viewport, phone=True).page)[0]


def test_links_that_a_sandboxed_frame_does_not_follow_are_found(
    open_page: Callable[..., Opened], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(SOUND)
    assert dead_navigation(in_sandbox(open_page, page, tmp_path).page.frames[1]) == []
    page.write_text(SOUND.replace("window.parent !== window", "false"))
    assert "'Second' leads to nothing" in dead_navigation(in_sandbox(open_page, page, tmp_path).page.frames[1])[0]


def test_checks_need_no_scripts_of_the_page(opened_text: Callable[..., Opened]) -> None:
    page = opened_text(SOUND, scripts=False).page
    assert blank_figures(page) + untold_figures(page) + stuck_folds(page) + dead_navigation(page) == []


def test_a_file_that_is_too_large_is_found(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b" " * (MOST_BYTES - 1))
    assert too_large(path) == []
    path.write_bytes(b" " * MOST_BYTES)
    assert too_large(path) == ["page.html has 3,000,000 bytes; fewer than 3,000,000 are allowed"]
