"""A sweep from its first machine to its last result. What it needs to know lies in the sweep's folder: any process can go on."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from filelock import FileLock, Timeout

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import AnswerLostError
from hydra_plugins.hydra_ec2_launcher.home.harvest import pull
from hydra_plugins.hydra_ec2_launcher.home.leaving import DetachedError, stays_at_work
from hydra_plugins.hydra_ec2_launcher.home.machine import Machine
from hydra_plugins.hydra_ec2_launcher.home.machines import machine_of
from hydra_plugins.hydra_ec2_launcher.home.progress import Progress
from hydra_plugins.hydra_ec2_launcher.home.staging import stage
from hydra_plugins.hydra_ec2_launcher.home.sweep import Outcome, Sweep
from hydra_plugins.hydra_ec2_launcher.home.watch import TakenAwayError, UsedUpError, poll, watch
from hydra_plugins.hydra_ec2_launcher.wire.transport import HostKeyError, RemoteCommandError, TransportError

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
LOOK_S = 15.0
"""so long a silent machine is knocked at by one who only looks"""


def drive(sweep: Sweep) -> None:
    """Run the sweep's open jobs to their ends, on as many machines as it takes, one at a time.

    The machine is kept: `give_back` ends it. An error here ends it too; Ctrl-C asks.

    Raises:
        DetachedError: the machine was left at work.
        ValueError: another process drives the sweep, what it needs cannot be had, or someone else answers.
    """
    with alone(sweep), Progress(sweep) as progress:
        machine = machine_of(sweep)
        try:
            while sweep.open_jobs():
                give_up_hopeless(sweep)
                work(sweep, machine, progress)
        except HostKeyError as error:
            machine.release("someone else answered in its place")
            raise alarm(sweep, error) from error
        except Exception:
            machine.release("an error at home")
            raise
        except BaseException as interruption:  # Ctrl-C, SIGTERM, or what an application makes of them
            progress.stop()
            if machine.at_work and stays_at_work(sweep):
                machine.detached()
                raise DetachedError(sweep) from interruption
            machine.release("interrupted")
            raise


def work(sweep: Sweep, machine: Machine, progress: Progress) -> None:
    """One machine's part."""
    transport = machine.obtain(partial(stage, sweep=sweep))
    try:
        watch(transport, sweep, machine, progress)
    except TakenAwayError as reason:
        log.warning("%s: its unfinished jobs go on elsewhere", reason)
        machine.interrupted()
    except UsedUpError as reason:
        stop_open_jobs(sweep, str(reason))
    except HostKeyError:
        raise
    except (TransportError, RemoteCommandError) as error:
        log.warning("the machine is lost (%s): its unfinished jobs go on elsewhere", str(error).partition("\n")[0])
        machine.lost()
    finally:
        transport.close()


def alarm(sweep: Sweep, error: HostKeyError) -> ValueError:
    """What to say where a machine does not show its key."""
    remedy = "somebody may stand between here and the cloud: do not go on from this network before you know who"
    return ValueError(f"sweep={sweep.folder}: ALARM: {error}\n  remedy: {remedy}")


def give_up_hopeless(sweep: Sweep) -> None:
    """A job that several machines did not survive is not given to another."""
    for job in sweep.open_jobs():
        if sweep.attempt(job.num) >= MOST_ATTEMPTS:
            reason = f"{MOST_ATTEMPTS} machines did not finish it"
            sweep.finish(Outcome(num=job.num, state="LOST", reason=reason, result=None))


def stop_open_jobs(sweep: Sweep, reason: str) -> None:
    """What has not ended by now ends here."""
    for job in sweep.open_jobs():
        sweep.finish(Outcome(num=job.num, state="STOPPED", reason=reason, result=None))


def ready(sweep: Sweep) -> None:
    """Have a machine that passed its checks, without a job; an error, or Ctrl-C, ends it.

    Raises:
        ValueError: as for `drive`.
    """
    with alone(sweep):
        machine = machine_of(sweep)
        try:
            machine.obtain(partial(stage, sweep=sweep)).close()
        except HostKeyError as error:
            machine.release("someone else answered in its place")
            raise alarm(sweep, error) from error
        except BaseException:
            machine.release("it did not become ready")
            raise


def look(sweep: Sweep, *, pull_work: bool = False) -> bool:
    """Bring up to date what is known here, where nobody else does; whether there was a machine that answered.

    Raises:
        ValueError: someone else answers in its place.
    """
    try:
        with alone(sweep):
            machine = machine_of(sweep)
            if (transport := machine.reach(LOOK_S)) is None:
                return False
            with closing(transport):
                poll(transport, sweep, machine)
                for job in sweep.open_jobs() if pull_work else ():
                    pull(transport, sweep, job)
            return True
    except DrivenError:
        return False
    except HostKeyError as error:
        raise alarm(sweep, error) from error
    except (TransportError, RemoteCommandError, AnswerLostError) as error:
        log.warning("the machine does not answer: %s", error)
        return False


def give_back(sweep: Sweep, reason: str) -> None:
    """End the sweep's machine, if it has one; repeatable."""
    with alone(sweep):
        machine_of(sweep).release(reason)


class DrivenError(ValueError):
    """Another process drives the sweep."""


@contextmanager
def alone(sweep: Sweep) -> Iterator[None]:
    """The block in which this process alone drives the sweep."""
    lock, driver = FileLock(sweep.folder / "driver.lock", timeout=0), sweep.folder / "driver.pid"
    try:
        lock.acquire()
    except Timeout as timeout:
        pid = driver.read_text() if driver.exists() else "its pid"
        remedy = f"`kill {pid}` leaves the machine at work; `python -m botscalp.gpu status` looks on"
        raise DrivenError(f"sweep={sweep.folder}: another process drives it\n  remedy: {remedy}") from timeout
    driver.write_text(str(os.getpid()))
    try:
        yield
    finally:
        lock.release()
