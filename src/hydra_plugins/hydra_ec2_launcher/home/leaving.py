"""Ctrl-C while a sweep runs elsewhere: leave it to its agent, or end it."""

import sys

from rich import get_console

from hydra_plugins.hydra_ec2_launcher.home.sweep import Sweep


class DetachedError(SystemExit):
    """The machine was left at work; the process ends with 130."""

    def __init__(self, sweep: Sweep) -> None:
        again = f"python -m botscalp.gpu attach sweep={sweep.folder}"
        print(f"The jobs go on there. To watch them and bring everything home: {again}", file=sys.stderr)
        super().__init__(130)


def stays_at_work(sweep: Sweep) -> bool:
    """Whether the jobs go on without this process: asked on a terminal, taken for granted where nobody can answer.

    A machine that is left ends itself by its clocks. A second Ctrl-C, at the question, ends it at once.
    """
    if not sys.stdin.isatty():
        return True
    try:
        answer = get_console().input(f"The machine of {sweep.name} is at work. Let its jobs go on without you? [Y/n] ")
    except (Exception, KeyboardInterrupt) as error:
        return not isinstance(error, KeyboardInterrupt | EOFError)
    except BaseException:  # an application's own kind of Ctrl-C
        return False
    return not answer.strip().lower().startswith("n")
