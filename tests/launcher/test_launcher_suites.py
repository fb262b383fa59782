"""Hydra's own launcher suites, with this machine in the role of the other, and over a real sshd."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from hydra.version import VersionBase
from loopback_sshd import loopback_sshd
from packaging.version import Version
from suite_cases import end_agents, over_ssh, overrides


def test_discovery() -> None:
    assert "EC2Launcher" in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the machine keeps the jobs of all sweeps."""
    folder = tmp_path_factory.mktemp("disk")
    yield folder
    end_agents(folder)


@pytest.fixture(scope="module", params=["local", "ssh"])
def words(request: pytest.FixtureRequest, disk: Path) -> Iterator[list[str]]:
    """What chooses the machine on the command line."""
    folder = f"{disk}/{request.param}/{{sweep}}"
    if request.param == "local":
        yield overrides(folder, machine="local")
    else:
        with loopback_sshd(disk) as sshd:
            yield over_ssh(sshd, folder)


@pytest.fixture(autouse=True)
def as_the_suites_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    """They name no version base, and tests before them in this process may have set one."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", Version("1.1"))


@pytest.fixture
def launcher_name() -> str:
    return "ec2"


@pytest.fixture(name="overrides")
def overrides_fixture(words: list[str]) -> list[str]:
    return [*words]


@pytest.mark.slow
class TestLauncher(LauncherTestSuite):
    """Jobs, numbers, overrides, resolvers."""


@pytest.mark.slow
class TestBatches(BatchedSweeperTestSuite):
    """The machine stays between the batches."""

    @pytest.fixture(name="overrides")
    def batched(self, words: list[str]) -> list[str]:
        return [*words, "hydra.sweeper.max_batch_size=2"]


@pytest.mark.slow
class TestIntegration(IntegrationTestSuite):
    """Commands in processes of their own. Their folder is the job's: paths in it read alike on both sides."""

    @pytest.fixture(autouse=True)
    def folder_of_the_job(self, tmp_path: Path) -> None:
        self.root = tmp_path / "machine"

    def get_test_scratch_dir(self, tmpdir: Path) -> Path:
        return self.root / "jobs" / "0" / "work"

    @pytest.fixture
    def task_launcher_cfg(self) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def extra_flags(self, words: list[str]) -> list[str]:
        alone = [word for word in words if not word.startswith("hydra.launcher.connection.folder=")]
        folders = [f"hydra.launcher.connection.folder='{self.root}'", f"hydra.launcher.home='{self.root}-home'"]
        return ["-m", "hydra/launcher=ec2", *alone, *folders]
