"""`make gallery`: train, compare and photograph, and write docs/images/, which README and docs/gallery.md show.

Real bars are read from where the tests read them (BOTSCALP_DATA, or ../shared/data); runs are kept in gallery-runs/ and used again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "browser")]

from opened import chromium, opened  # noqa: E402
from served import served  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WORKPLACE = ROOT / "gallery-runs"
STORE = Path("mlruns")
"""the default, there: another one's path would be in the pictures"""
STUDY = "btc_2024_gallery"
SWEEP = ("experiment=btc_2024", f"study={STUDY}", "model=gru,lstm", "label.horizon=3,6")
SHOWN = "gru-h3"
FIGURES = ("equity", "windows", "reliability", "threshold-costs", "exits", "regimes")
COLOURS = 128
WAIT_MS = 5_000
"""MLflow draws its charts when it likes"""
NO_ASSISTANT = """try {
  localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
  localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
} catch {}"""


def main() -> None:
    """All of it."""
    WORKPLACE.mkdir(exist_ok=True)
    os.chdir(WORKPLACE)
    IMAGES.mkdir(exist_ok=True)
    runs = finished_runs() or trained()
    comparison = STORE / "comparison"
    command("compare", f"study={STUDY}", f"out={comparison}")
    shown = next(run for run in runs if json.loads((run / "summary.json").read_text())["title"] == SHOWN)
    for name in FIGURES:
        small(shown / "figures" / f"{name}.png", f"figure-{name}")
    with chromium() as browser:
        photograph_pages(browser, shown / "report.html", comparison / "compare.html")
        photograph_mlflow(browser, runs)


def finished_runs() -> list[Path]:
    return sorted(path.parent for path in STORE.glob(f"runs/{STUDY}/*/*/summary.json"))


def trained() -> list[Path]:
    bars = Path(os.environ.get("BOTSCALP_DATA", ROOT.parent / "shared" / "data")) / "binance-spot-BTCUSDT-5m.parquet"
    command("train", "-m", *SWEEP, f"data.path={os.path.relpath(bars)}")
    return finished_runs()


def command(name: str, *words: str) -> None:
    subprocess.run([sys.executable, "-m", f"botscalp.{name}", *words], check=True)


def photograph_pages(browser: Browser, report: Path, compare: Path) -> None:
    """The top of each page, and the report's in the dark and on a phone."""
    for name, page, how in (
        ("report", report, {}),
        ("report-dark", report, {"dark": True}),
        ("report-phone", report, {"phone": True}),
        ("compare", compare, {}),
    ):
        shot = opened(browser, page.resolve().as_uri(), **how).page
        picture(shot, name, height=844 if name.endswith("phone") else 1_350)


def photograph_mlflow(browser: Browser, runs: list[Path]) -> None:
    """The list, its charts, and the runs side by side."""
    with served(STORE) as pages:
        link = pages.lines[STUDY]
        ids = json.dumps([json.loads((run / "summary.json").read_text())["mlflow"]["run_id"] for run in runs])
        experiment = link.split("/experiments/")[1].split("/")[0]
        for name, url in (
            ("mlflow-runs", link),
            ("mlflow-charts", f"{link}&compareRunsMode=CHART"),
            ("mlflow-compare", f'{link.partition("#")[0]}#/compare-runs?runs={ids}&experiments=["{experiment}"]'),
        ):
            page = opened(browser, url, offline=False, before=NO_ASSISTANT).page
            page.set_viewport_size({"width": 1_500, "height": 1_000})
            page.wait_for_timeout(WAIT_MS)
            picture(page, name, height=1_000)


def picture(page: Page, name: str, *, height: int) -> None:
    """The page's upper part."""
    path = IMAGES / f"{name}.png"
    width = page.viewport_size["width"] if page.viewport_size else 1_200
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
    small(path, name)


def small(source: Path, name: str) -> None:
    """Few colours are enough for lines and letters."""
    Image.open(source).convert("RGB").quantize(COLOURS).save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
