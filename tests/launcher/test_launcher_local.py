"""Hydra's own launcher suites, with this machine in the role of the rented one."""

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, LauncherTestSuite
from suite_cases import quick


def test_discovery() -> None:
    assert "EC2Launcher" in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]


@pytest.mark.slow
@pytest.mark.parametrize(("launcher_name", "overrides"), [("ec2", quick("local"))])
class TestLauncher(LauncherTestSuite):
    """Jobs, numbers, overrides, resolvers."""


@pytest.mark.slow
@pytest.mark.parametrize(("launcher_name", "overrides"), [("ec2", [*quick("local"), "hydra.sweeper.max_batch_size=2"])])
class TestBatches(BatchedSweeperTestSuite):
    """The machine stays between the batches."""
