"""A real browser, and real runs for it to show."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opened import Opened, chromium, opened
from playwright.sync_api import Browser, Page
from runs import Run, command

ROOT = Path(__file__).resolve().parents[2]
SIMULATED = ("data.edge=0.3",)
WEEKS = (
    *("data.start=2023-01-01", "wfo=weekly", "wfo.train=4w"),
    *("features.lags=4", "trainer.device=cpu", "backtest.threshold=0.52"),
)
ONE = (*WEEKS, "data.end=2023-05-01", "wfo.windows=6", "model.hidden=8", "trainer.epochs=3", "label.horizon=6")
FOUR = (*WEEKS, "data.end=2023-05-01", "wfo.windows=9", "trainer.epochs=1", "model=gru,linear", "label.horizon=3,6")
"""63 test days: fewer than 60 tell nothing of luck"""
SIX = (
    *(*WEEKS, "data.end=2023-06-20", "wfo.windows=15", "trainer.epochs=1", "hydra/sweeper=search", "study=six"),
    *("hydra.sweeper.n_trials=6", "hydra.sweeper.sampler=random", "hydra.sweeper.referee.prune=false"),
    *("model.hidden=int(interval(4,12))", "label.horizon=choice(3,6)", "trainer.lr=tag(log,interval(1e-3,1e-1))"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; a module closes its own, for playwright's event loop stays in the way of others until then."""
    with chromium() as found:
        yield found


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """open_page(url, dark=, phone=, offline=, scripts=, before=): the page, in a context of its own."""
    yield lambda url, **how: opened(browser, url, **how)
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="session")
def screenshot() -> Callable[[Page, str], Path]:
    """screenshot(page, name): a picture of the whole page in screenshots/, for people to look at."""
    folder = Path(os.environ.get("BOTSCALP_SCREENSHOTS", ROOT / "screenshots"))

    def write(page: Page, name: str) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return write


@pytest.fixture(scope="session")
def market(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Overrides that choose real bars, or where they are absent the simulated market."""
    try:
        folder = request.getfixturevalue("real_data")
    except pytest.skip.Exception:
        return SIMULATED
    return ("data=file", f"data.path={folder}/binance-spot-BTCUSDT-5m.parquet")


@pytest.fixture(scope="session")
def real_store(once: Callable[[str, Callable[[Path], object]], Path], market: tuple[str, ...]) -> Path:
    """The store, mlruns/, of `real_run`."""
    return once("browsed-run", lambda folder: _made(folder, "train", *ONE, *market)) / "mlruns"


@pytest.fixture(scope="session")
def real_run(real_store: Path) -> Run:
    """A finished run on real bars, six test weeks long; on simulated ones where the real ones are absent."""
    (summary,) = real_store.glob("runs/*/*/summary.json")
    return Run(summary.parent)


@pytest.fixture(scope="session")
def study_of_four(once: Callable[[str, Callable[[Path], object]], Path], market: tuple[str, ...]) -> Path:
    """The store, mlruns/, of a sweep of four runs over two models and two horizons: the study "four"."""
    return once("browsed-study", lambda folder: _made(folder, "train", "-m", "study=four", *FOUR, *market)) / "mlruns"


@pytest.fixture(scope="session")
def comparison(once: Callable[[str, Callable[[Path], object]], Path], study_of_four: Path) -> Path:
    """The folder of the comparison of these four."""
    return (
        once(
            "browsed-comparison",
            lambda folder: _made(folder, "compare", "study=four", f"store={study_of_four}", f"out={folder}/found"),
        )
        / "found"
    )


@pytest.fixture(scope="session")
def found(once: Callable[[str, Callable[[Path], object]], Path], market: tuple[str, ...]) -> Path:
    """The folder of what a search of six trials found."""
    return (
        once("browsed-search", lambda folder: _made(folder, "train", "-m", *SIX, *market)) / "mlruns/search/six/summary"
    )


def _made(folder: Path, *words: str) -> None:
    done = command(words[0], *words[1:], cwd=folder, timeout_s=600)
    assert done.returncode == 0, done.stderr
