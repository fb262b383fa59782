"""What several tests share: where the real bars lie, and runs that are made once however many tests read them."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import settings
from runs import TINY, Run, command, composed, quiet_libraries

from botscalp.options import trust

ROOT = Path(__file__).resolve().parents[1]
# How long an example takes says nothing where tests share cores with each other.
settings.register_profile("thorough", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=30)
settings.load_profile("quick")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tests come in another order at each run (pytest-randomly); -q would keep its seed to itself."""
    if config.pluginmanager.hasplugin("randomly"):
        terminalreporter.write_line(f"the same order again: --randomly-seed={config.getoption('randomly_seed')}")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with Binance's bars; tests that need them are skipped where it is absent."""
    folder = Path(os.environ.get("BOTSCALP_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "binance-spot-BTCUSDT-5m.parquet").exists():
        pytest.skip(f"needs real bars in {folder} (set BOTSCALP_DATA to their folder)")
    return folder


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """once(name, make): a folder that `make` has filled, by one of pytest-xdist's processes for all of them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        made = shared / name
        with FileLock(shared / f"{name}.lock"):
            if not (made / ".made").exists():
                shutil.rmtree(made, ignore_errors=True)
                made.mkdir()
                make(made)
                (made / ".made").touch()
        return made

    return folder


@pytest.fixture(autouse=True)
def nothing_stays_trusted() -> Iterator[None]:
    """Packages that a test trusts are part of the key of every fit: the next test is to find its own."""
    yield
    trust([])


@pytest.fixture
def quiet() -> Iterator[None]:
    """Warnings of libraries about each other are no errors; tests that open MLflow's store use it."""
    with quiet_libraries():
        yield


@pytest.fixture(scope="session")
def stdout(workplace: Path) -> list[str]:
    """What the command of the finished run printed, line by line."""
    return (workplace / "stdout").read_text().splitlines()


@pytest.fixture(scope="session")
def workplace(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The folder in which the finished run's command was typed; mlruns/ lies inside."""

    def make(folder: Path) -> None:
        done = command("train", *TINY, cwd=folder)
        assert done.returncode == 0, done.stderr
        (folder / "stdout").write_text(done.stdout)

    return once("finished-run", make)


@pytest.fixture(scope="session")
def finished(stdout: list[str]) -> Run:
    """The finished run."""
    return Run(Path(stdout[-1]))


@pytest.fixture
def make_bars_file(tmp_path: Path) -> Callable[..., Path]:
    """make_bars_file(name, symbols=..., change=...): the tiny market's bars as Parquet; a path pattern for data.path.

    `change(table)` returns the table that is written instead: a frame with open_time (UTC) and Binance's columns.
    """

    def make(
        name: str,
        *,
        symbols: tuple[str, ...] = ("BTCUSDT",),
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
    ) -> Path:
        pattern = tmp_path / name
        for bars in composed(f"data.symbols=[{','.join(symbols)}]").data.load():
            columns = {name: column for name, column in bars.columns() if name != "open_time_ns"}
            table = pd.DataFrame({"open_time": pd.to_datetime(bars.open_time_ns, utc=True), **columns})
            with quiet_libraries():
                change(table).to_parquet(str(pattern).replace("{symbol}", bars.symbol))
        return pattern

    return make
