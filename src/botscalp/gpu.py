"""`python -m botscalp.gpu VERB`: look after the machines that sweeps rent."""

import json
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from botscalp.application import run_application
from botscalp.errors import UserError
from botscalp.options import nearest

if TYPE_CHECKING:
    from hydra_plugins.hydra_ec2_launcher.ec2_launcher import EC2Launcher
    from hydra_plugins.hydra_ec2_launcher.home.sweep import Sweep

LAST = Path(".last_gpu.json")


def plan(cfg: DictConfig) -> None:
    """Print what would be asked for, the worst cost, and the rights it takes; nothing is asked of anybody."""
    from hydra_plugins.hydra_ec2_launcher.cloud.policy import policy
    from hydra_plugins.hydra_ec2_launcher.home.account import planned

    settings = launcher().settings
    rent, limits = settings.rent, settings.limits
    print(f"{rent.instance_type}, in this order, in every zone that offers it:")
    for market in rent.markets:
        for region in rent.regions:
            for ami in rent.amis:
                print(f"  {market:<10} {region:<10} {ami}")
    print(f"ends after {limits.max_hours:g} h, or ${limits.budget_usd:g}, or {limits.idle_minutes:g} min without work")
    worst = planned(settings)
    print(worst)
    if worst.total_usd > limits.budget_usd:
        print(
            f"the budget of ${limits.budget_usd:g} pays for less time at that price: the first request must be covered"
        )
    print(
        f"results that nobody fetches are lost with the machine, {limits.no_client_hours:g} h after the last job at the latest"
    )
    print("\nthe rights that this takes, as an IAM policy:")
    rights = policy(
        regions=rent.regions,
        instance_types=[rent.instance_type],
        owner=rent.owner,
        image_owners=rent.ami_owners,
        scheduler_role=rent.scheduler_role,
    )
    print(json.dumps(rights, indent=2))


def up(cfg: DictConfig) -> None:
    """Rent a machine that passes the health gate, and leave it: its idle clock, or `down`, ends it."""
    from hydra_plugins.hydra_ec2_launcher.home.drive import ready
    from hydra_plugins.hydra_ec2_launcher.home.sweep import Sweep

    began = f"up_{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}"
    asked = launcher()
    folder = Path(asked.home).resolve() / began
    store = Path(cfg.store)
    sweep = Sweep.begin(folder, settings=asked.settings, cwd=Path.cwd(), store=store.resolve(), box_store="store")
    ready(sweep)
    print(f"cd {shlex.quote(str(sweep.folder / 'ssh'))} && ssh -F ssh_config machine")


def status(cfg: DictConfig) -> None:
    """Print how the sweep stands."""
    from hydra_plugins.hydra_ec2_launcher.home.drive import look
    from hydra_plugins.hydra_ec2_launcher.home.standing import status_lines

    sweep = the_sweep(cfg)
    look(sweep)
    print("\n".join(status_lines(sweep)))


def attach(cfg: DictConfig) -> None:
    """Go on with a sweep that another process began, to its end."""
    from hydra_plugins.hydra_ec2_launcher.home.drive import drive, give_back
    from hydra_plugins.hydra_ec2_launcher.home.standing import status_lines

    sweep = the_sweep(cfg)
    drive(sweep)
    give_back(sweep, "the sweep is done")
    print("\n".join(status_lines(sweep)))


def logs(cfg: DictConfig) -> None:
    """Print what a job has printed so far."""
    from hydra_plugins.hydra_ec2_launcher.home.drive import look
    from hydra_plugins.hydra_ec2_launcher.home.standing import log_of

    sweep = the_sweep(cfg)
    known = [job.num for job in sweep.jobs()]
    if cfg.job not in known:
        raise UserError("job", cfg.job, f"the sweep's jobs are {known}", "name one: job=0")
    look(sweep)
    sys.stdout.write(log_of(sweep, cfg.job))


def fetch(cfg: DictConfig) -> None:
    """Bring home what running jobs have written so far."""
    from hydra_plugins.hydra_ec2_launcher.home.drive import look

    sweep = the_sweep(cfg)
    if not look(sweep, pull_work=True):
        raise UserError(
            "sweep", sweep.folder, "it has no machine at work, or another process drives it", "see `status`"
        )
    print(sweep.folder / "jobs")


def cost(cfg: DictConfig) -> None:
    """Print what the sweep was planned to cost and what it costs, by job."""
    from hydra_plugins.hydra_ec2_launcher.home.standing import cost_lines

    print("\n".join(cost_lines(the_sweep(cfg))))


def down(cfg: DictConfig) -> None:
    """End the sweep's machine, whatever it does."""
    from hydra_plugins.hydra_ec2_launcher.home.drive import give_back

    sweep = the_sweep(cfg)
    give_back(sweep, "asked for")
    print(f"nothing of {sweep.name} is rented any more")


def reap(cfg: DictConfig) -> None:
    """End what earlier sweeps left in the account, and say what else is there."""
    from hydra_plugins.hydra_ec2_launcher.cloud.reaper import reap as reaped
    from hydra_plugins.hydra_ec2_launcher.home.account import cloud_of, leases_beside, now

    asked = launcher()
    rent = asked.settings.rent
    leases = leases_beside(Path(asked.home).resolve())
    found = reaped(cloud_of(rent), rent.regions, owner=rent.owner, lease_of=leases, now=now())
    for finding in found:
        print(finding)
    if not found:
        print(f"nothing of {rent.owner} in {', '.join(rent.regions)}")


VERBS: dict[str, Callable[[DictConfig], None]] = {
    verb.__name__: verb for verb in (plan, up, status, attach, logs, fetch, cost, down, reap)
}


def launcher() -> "EC2Launcher":
    """The launcher that hydra/launcher names."""
    from hydra.utils import instantiate

    made: EC2Launcher = instantiate(HydraConfig.get().launcher)
    return made


def the_sweep(cfg: DictConfig) -> "Sweep":
    """The sweep that is named, or the last one."""
    from hydra_plugins.hydra_ec2_launcher.home.sweep import Sweep

    if cfg.sweep is None and not LAST.is_file():
        raise UserError(
            "sweep", None, f"no {LAST} lies here", "name the sweep's folder, mlruns/machines/... for instance"
        )
    return Sweep.open(Path(cfg.sweep or json.loads(LAST.read_text())["folder"]))


def main() -> None:
    """Take the verb from the command line; the rest is Hydra's."""
    word = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if word in VERBS:
        del sys.argv[1]
        run_application(VERBS[word], config_name="gpu", verb=word)
    if word.startswith("-"):
        sys.argv[1:] = [word]
        run_application(plan, config_name="gpu")
    print(UserError("gpu", word, "no such verb", nearest(word, VERBS)), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
