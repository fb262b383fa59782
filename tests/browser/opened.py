"""Pages opened in a real Chromium, with what they ask for and complain of."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1200, 900), (390, 844)
WITHIN_THIS_MACHINE = {"file", "data", "blob", "about"}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, eq=False)
class Opened:
    """A page in the browser."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """on its console, or thrown by its scripts"""
    requests: list[str] = field(default_factory=list)
    """for anything that is neither a file nor on loopback"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium; what needs it is skipped where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("needs a Chromium (Debian: apt-get install chromium fonts-dejavu-core)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def opened(
    browser: Browser,
    url: str,
    *,
    dark: bool = False,
    phone: bool = False,
    offline: bool = True,
    scripts: bool = True,
    before: str | None = None,
) -> Opened:
    """The page at that address, loaded; `before` is a script that runs in it before its own."""
    width, height = PHONE if phone else DESKTOP
    context = browser.new_context(
        viewport={"width": width, "height": height},
        is_mobile=phone,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        offline=offline,
        java_script_enabled=scripts,
    )
    if before is not None:
        context.add_init_script(before)
    found = Opened(context.new_page())

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.errors.append(message.text)

    def see(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in WITHIN_THIS_MACHINE and address.hostname not in LOOPBACK:
            found.requests.append(request.url)

    found.page.on("console", hear)
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on("request", see)
    found.page.goto(url)
    return found


def in_sandbox(open_page: Callable[..., Opened], path: Path, folder: Path) -> Opened:
    """A page whose second frame shows that file as MLflow shows artifacts, in a sandbox; `folder` may be written to."""
    host = folder / "host.html"
    frame = f'<iframe sandbox="allow-scripts" width="1000" height="800" src="{path.resolve().as_uri()}"></iframe>'
    host.write_text(f"<!doctype html><title>host</title>{frame}")
    return open_page(host.as_uri())
