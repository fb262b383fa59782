"""What can be done with a page. Each function returns the faults that it found, as sentences; none means that all is well."""

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from opened import Opened
from playwright.sync_api import Frame, Page

MOST_BYTES = 3_000_000


def too_large(path: Path) -> list[str]:
    """A file that is too large to be sent around."""
    size = path.stat().st_size
    return [] if size < MOST_BYTES else [f"{path.name} has {size:,} bytes; fewer than {MOST_BYTES:,} are allowed"]


def complaints(opened: Opened) -> list[str]:
    """What was asked for from elsewhere, and the errors on the console."""
    return [f"it asks for {url}" for url in opened.requests] + [f"it complains: {text}" for text in opened.errors]


def axe_violations(page: Page) -> list[str]:
    """What axe-core finds wrong for keyboards, screen readers and weak eyes."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['help']}: {node['html'][:200]}" for rule in found for node in rule["nodes"][:3]]


def dead_skip_link(page: Page) -> list[str]:
    """A first Tab that shows no link past the navigation, or one that leads elsewhere than into the main part."""
    page.keyboard.press("Tab")
    at = _focus(page)
    if not at["link"] or not at["visible"]:
        return [f"the first Tab leads to no link that can be seen: {at['html']}"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    at = _focus(page)
    return [] if at["main"] else [f"the skip link leads past the main part, to {at['html']}"]


def unreachable(page: Page) -> list[str]:
    """What can be used or scrolled, all being unfolded, and Tab does not reach, or not visibly."""
    usable: dict[str, str] = page.evaluate(
        """() => {
          const usable = {};
          document.querySelectorAll("details").forEach(fold => { fold.open = true; });
          const scrolls = element => ["auto", "scroll"].includes(getComputedStyle(element).overflowX)
            && element.scrollWidth > element.clientWidth + 1;
          for (const element of document.querySelectorAll("*"))
            if ((element.matches("a[href], button, summary, [tabindex='0']") || scrolls(element)) && element.checkVisibility())
              usable[element.dataset.place = Object.keys(usable).length] = element.outerHTML.slice(0, 100);
          return usable;
        }"""
    )
    faults, reached = [], set()
    for _ in usable:
        page.keyboard.press("Tab")
        at = _focus(page)
        reached.add(at["place"])
        if not at["outlined"] or not at["visible"]:
            faults.append(f"it does not show that Tab is at {at['html']}")
    return faults + [f"Tab does not reach {html}" for place, html in usable.items() if place not in reached]


def stuck_folds(page: Page) -> list[str]:
    """What is folded and Enter does not unfold."""
    faults = []
    for summary in page.locator("details:not([open]) > summary").all():
        summary.evaluate("summary => summary.dataset.fold = ''")
    for summary in page.locator("summary[data-fold]").all():
        summary.focus()
        page.keyboard.press("Enter")
        if not summary.evaluate(
            "summary => summary.parentElement.open && summary.nextElementSibling?.checkVisibility()"
        ):
            faults.append(f"{summary.inner_text()!r} does not unfold")
    return faults


def dead_navigation(page: Page | Frame) -> list[str]:
    """Entries of the navigation that do not bring their section into sight."""
    links = page.locator("nav a[href^='#']:visible").all()
    faults = [] if links else ["the page has no navigation"]
    for link in links:
        page.evaluate("scrollTo(0, 0)")
        link.click()
        arrived: bool = link.evaluate(
            """link => {
              const top = document.querySelector(link.getAttribute("href"))?.getBoundingClientRect().top;
              const atTheEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
              return Math.abs(top) < innerHeight / 4 || (atTheEnd && top < innerHeight);
            }"""
        )
        if not arrived:
            faults.append(f"{link.inner_text()!r} leads to nothing")
    return faults


def _focus(page: Page) -> dict[str, Any]:
    """The element that has the focus."""
    found: dict[str, Any] = page.evaluate(
        """() => {
          const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
          return {
            html: at.outerHTML.slice(0, 100), place: at.dataset.place ?? "",
            link: at.matches("a[href^='#']"), main: at.closest("main") !== null,
            outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
            visible: box.width > 1 && box.height > 1 && box.bottom > 0 && box.right > 0 && box.top < innerHeight,
          };
        }"""
    )
    return found
