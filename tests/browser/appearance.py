"""What is to be seen on a page. Each function returns the faults that it found, as sentences; none means that all is well."""

import re
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import numpy as np
from opened import PHONE
from PIL import Image
from playwright.sync_api import Page

FIGURE = "svg[role=img]"
LEAST_GREY_LEVELS = 32  # letters alone have more: their edges are smoothed
LEAST_DRAWN = 0.005  # share of a figure's pixels that are not its ground
LEAST_CONTRAST = 4.5  # WCAG's level AA
LEAST_TEXT_PX = 6.5  # on a phone, whose screen is held near and has two or three points a px
DARKEST_LIGHT, LIGHTEST_DARK = 0.8, 0.05  # luminance of a ground: white has 1, black 0


def blank_figures(page: Page) -> list[str]:
    """Figures that show nothing."""
    figures = page.locator(FIGURE).all()
    faults = [] if figures else ["no figure on the page"]
    for figure in figures:
        name = figure.get_attribute("aria-labelledby")
        if not figure.is_visible():
            faults.append(f"{name} cannot be seen")
            continue
        levels, pixels = np.unique(_pixels(figure.screenshot()).mean(axis=-1).round(), return_counts=True)
        drawn = 1 - pixels.max() / pixels.sum()
        if len(levels) < LEAST_GREY_LEVELS or drawn < LEAST_DRAWN:
            faults.append(f"{name} is blank: {len(levels)} grey levels, {drawn:.1%} of it drawn")
    return faults


def untold_figures(page: Page) -> list[str]:
    """Figures that do not say their question and, with numbers, their answer to those who cannot see them."""
    texts: list[list[str]] = page.evaluate(
        f"""() => [...document.querySelectorAll("{FIGURE}")].map(svg => [
              svg.getAttribute("aria-labelledby"), svg.getAttribute("aria-describedby")
            ].map(id => svg.getElementById(id ?? "")?.textContent.trim() ?? ""))"""
    )
    faults = [f"{title!r} has no description with a number" for title, said in texts if not re.search(r"\d", said)]
    titles = [title for title, _ in texts]
    faults += [f"{title!r} is the title of two figures" for title in sorted(set(titles)) if titles.count(title) > 1]
    return faults + [f"figure {number} has no title" for number, title in enumerate(titles, start=1) if not title]


def bare_figures(page: Page) -> list[str]:
    """Figures without a caption to be seen, or without a table of their numbers, which may be folded away."""
    faults = []
    for svg in page.locator(FIGURE).all():
        name = svg.get_attribute("aria-labelledby")
        caption = svg.locator("xpath=ancestor::figure[1]//figcaption")
        if caption.count() != 1 or not caption.is_visible() or not re.search(r"\d", caption.inner_text()):
            faults.append(f"{name} has no caption with a number")
        if not svg.locator("xpath=ancestor::figure[1]//details//table//td").count():
            faults.append(f"{name} has no table of its numbers")
    return faults


def hidden_words(page: Page, words: Iterable[str], *, at_once: bool = False) -> list[str]:
    """Words that cannot be seen, `at_once` without scrolling."""
    end_px = page.viewport_size["height"] if at_once and page.viewport_size else float("inf")
    faults = []
    for text in words:
        boxes = [place.bounding_box() for place in page.get_by_text(text).all() if place.is_visible()]
        if not any(box and box["y"] + box["height"] <= end_px for box in boxes):
            faults.append(f"{text!r} cannot be seen{' without scrolling' if at_once else ''}")
    return faults


def sideways_scroll(page: Page) -> list[str]:
    """What makes the page wider than a phone."""
    width_px, _ = PHONE
    page_px: int = page.evaluate("document.documentElement.scrollWidth")
    if page_px <= width_px:
        return []
    wide: list[str] = page.evaluate(
        f"""() => [...document.body.querySelectorAll("*")]
              .filter(element => element.getBoundingClientRect().right > {width_px} + 1)
              .slice(0, 3).map(element => element.outerHTML.slice(0, 80))"""
    )
    return [f"the page is {page_px} px wide on a phone of {width_px}: {'; '.join(wide)}"]


def tiny_texts(page: Page) -> list[str]:
    """Texts of figures that are too small to be read."""
    found: list[tuple[str, str, float]] = page.evaluate(
        f"""() => [...document.querySelectorAll("{FIGURE} text")].map(text => [
              text.textContent.trim(), text.closest("{FIGURE}").getAttribute("aria-labelledby"),
              parseFloat(getComputedStyle(text).fontSize) * text.closest("svg").getScreenCTM().a])"""
    )
    return [
        f"{words!r} in {name} is {size:.1f} px high" for words, name, size in found if words and size < LEAST_TEXT_PX
    ]


def squeezed_cells(page: Page) -> list[str]:
    """Cells of tables that are columns of single words."""
    return page.evaluate(
        """() => [...document.querySelectorAll("th, td")].filter(cell => {
             const box = cell.getBoundingClientRect(), words = document.createRange();
             words.selectNodeContents(cell);
             return cell.checkVisibility() && words.getBoundingClientRect().height > 4 * box.width;
           }).map(cell => `${cell.textContent.trim().slice(0, 40)} is squeezed`)"""
    )


def wrong_ground(page: Page, *, dark: bool) -> list[str]:
    """A ground that is not as dark, or as light, as it was asked for; it is looked at in the lower left corner."""
    height_px = (page.viewport_size or {"height": 0})["height"]
    corner = page.screenshot(clip={"x": 0, "y": height_px - 4, "width": 4, "height": 4})
    found = float(_luminance(_pixels(corner)).mean())
    if found <= LIGHTEST_DARK if dark else found >= DARKEST_LIGHT:
        return []
    return [f"the ground's luminance is {found:.2f} where a {'dark' if dark else 'light'} page was asked for"]


def faint_texts(page: Page) -> list[str]:
    """Texts of figures that hardly stand out from what is painted below them: axe-core looks into no SVG."""
    texts = page.evaluate(_TEXTS_OF_FIGURES)
    faults = [] if texts else ["no text in any figure"]
    for text in texts:
        ground = np.array([255.0, 255.0, 255.0])
        for paint in text["below"]:
            ground = _over(ground, paint)
        dim, bright = sorted(float(_luminance(colour)) for colour in (ground, _over(ground, text["paint"])))
        contrast = (bright + 0.05) / (dim + 0.05)
        if contrast < LEAST_CONTRAST:
            faults.append(f"{text['words']!r} in {text['figure']} has a contrast of {contrast:.1f}")
    return faults


_TEXTS_OF_FIGURES = f"""() => {{
  const rgba = (colour, opacity) => {{
    const [red, green, blue, alpha = 1] = (/^rgb/.test(colour) ? colour : "rgba(0, 0, 0, 0)").match(/[\\d.]+/g).map(Number);
    return [red, green, blue, alpha * opacity];
  }};
  const paint = element => {{
    const style = getComputedStyle(element);
    return element instanceof SVGElement
      ? rgba(style.fill, style.fillOpacity * style.opacity) : rgba(style.backgroundColor, style.opacity);
  }};
  const drawsNothing = element => ["text", "tspan", "svg", "g"].includes(element.tagName);
  const texts = [];
  for (const svg of document.querySelectorAll("{FIGURE}"))
    for (const text of svg.querySelectorAll("text")) {{
      text.scrollIntoView({{block: "center", behavior: "instant"}});
      const box = text.getBoundingClientRect(), words = text.textContent.trim();
      const stack = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      const below = stack.filter(element => !drawsNothing(element)).reverse().map(paint);
      if (words && box.width) texts.push({{words, figure: svg.getAttribute("aria-labelledby"), paint: paint(text), below}});
    }}
  scrollTo(0, 0);
  return texts;
}}"""
"""each with its own colour and the colours below its middle, the lowest first, as red, green, blue (0..255) and opacity"""


def _pixels(png: bytes) -> np.ndarray:
    """Red, green and blue, 0..255, shape (height, width, 3)."""
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"), dtype=float)


def _over(ground: np.ndarray, paint: list[float]) -> np.ndarray:
    """The colour that a ground has once it is painted."""
    *colour, opacity = paint
    return (1 - opacity) * ground + opacity * np.array(colour)


def _luminance(rgb: Any) -> np.ndarray:
    """WCAG's relative luminance, 0 black to 1 white."""
    share = np.asarray(rgb) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
