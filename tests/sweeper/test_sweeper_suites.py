"""Hydra's own suites, with this sweeper's grid in the place of the basic one: a grid is what they know the jobs of."""

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from hydra.version import VersionBase
from packaging.version import Version

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*working directory at job runtime:UserWarning"
)  # of the suites' old version base

GRID = ["hydra/sweeper=ask_tell", "hydra.sweeper.sampler=grid"]


def test_discovery() -> None:
    assert "SearchSweeper" in [plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)]


@pytest.fixture(autouse=True)
def as_the_suites_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    """They name no version base, and tests before them in this process may have set one."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", Version("1.1"))


@pytest.mark.parametrize("launcher_name, overrides", [("basic", GRID), ("joblib", [*GRID, "hydra.launcher.n_jobs=1"])])
class TestSweeper(LauncherTestSuite):
    """Jobs, numbers, overrides, resolvers."""


@pytest.mark.parametrize("launcher_name, overrides", [("basic", [*GRID, "hydra.sweeper.max_batch_size=2"])])
class TestSweeperBatches(BatchedSweeperTestSuite):
    """Numbers go on from batch to batch."""


@pytest.mark.slow
@pytest.mark.parametrize("task_launcher_cfg, extra_flags", [({}, ["-m", "hydra/launcher=basic", *GRID])])
class TestSweeperIntegration(IntegrationTestSuite):
    """Commands in processes of their own."""
