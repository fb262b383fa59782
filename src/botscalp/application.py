"""What all commands share: compose with Hydra, run the task, and turn every error into a message and an exit code."""

import functools
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from botscalp.allowed import check_all_that_hydra_composes, check_folders, take_trust
from botscalp.composition import composition_message, set_in
from botscalp.config import CONF
from botscalp.errors import CausalityError, Interrupted, NotAllowedError, UnwantedVerdictError, UserError
from botscalp.known_keys import default_of
from botscalp.options import trust
from botscalp.secrets import masked, refuse_typed_variables
from botscalp.shortages import shortage
from botscalp.typed import check_flags

Task = Callable[[DictConfig], Any]


def run_application(task: Task, *, config_name: str, verb: str | None = None) -> NoReturn:
    """Run `task` on the config that the command line composes from conf/<config_name>.yaml, and exit.

    Exit codes: 0 done, 2 the user's input or what the machine refuses, 3 a causality violation, 4 a verdict listed in fail_on,
    130 interrupted, 1 anything else (the only case with a traceback).

    Args:
        verb: what was taken from the command line, on which Hydra must not see it, and belongs to the command.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors to us instead of printing and exiting with 1
    _interrupt_on_signals()
    typed = ([verb] if verb else []) + sys.argv[1:]
    try:
        refuse_typed_variables(sys.argv[1:])
        packages = take_trust(sys.argv)
        check_folders(sys.argv, config_name)
        check_flags(sys.argv, config_name)
        check_all_that_hydra_composes(sys.argv)
        alone = _alone(task, config_name, typed, packages)
        hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")(alone)()
    except BaseException as error:
        sys.exit(_explained(error, config_name, typed))
    sys.exit(0)


def _alone(task: Task, config_name: str, typed: Sequence[str], packages: Sequence[str]) -> Task:
    """The task, explaining its own errors where it is no job of a sweep: Hydra adds a line of its own to those."""

    @functools.wraps(task)
    def run(cfg: DictConfig) -> Any:
        _interrupt_on_signals()  # a launcher may run the task in a process of its own
        trust(packages)
        try:
            return task(cfg)
        except Exception as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise shortage(error) or error from error.__cause__
            sys.exit(_explained(error, config_name, typed))

    return run


def _interrupt_on_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, _interrupt)
        sys.unraisablehook = _interrupt_after_all


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise Interrupted


def _interrupt_after_all(swallowed: "sys.UnraisableHookArgs") -> None:
    """A signal that arrives in a destructor or a callback of C raises in vain there: it is sent again, a moment later."""
    if swallowed.exc_type is Interrupted:
        main = threading.main_thread().ident
        assert main is not None, "it runs"
        threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()  # ends a sleep too
    else:
        sys.__unraisablehook__(swallowed)


def _explained(error: BaseException, config_name: str, typed: Sequence[str]) -> int | str | None:
    """Say on stderr what happened and what to do about it; the exit code."""
    match error:
        case SystemExit():
            return error.code
        case UserError():
            code, message = 2, _told(error, config_name)
        case _ if found := shortage(error):
            code, message = 2, str(found)
        case HydraException() | OmegaConfBaseException() | YAMLError():
            code, message = 2, composition_message(error, config_name)
        case _ if _while_composing(error):
            code, message = 2, composition_message(error, config_name)
        case CausalityError():
            code, message = 3, str(error)
        case UnwantedVerdictError():
            code, message = 4, str(error)
        case ValueError() if "\n  remedy: " in str(error):  # a launcher's, which knows no UserError
            code, message = 2, str(error)
        case RuntimeError() if hasattr(error, "remote_type") and hasattr(error, "words"):  # a job elsewhere, as text
            code = {"UserError": 2, "CausalityError": 3, "UnwantedVerdictError": 4}.get(error.remote_type, 1)
            message = error.words if code > 1 else str(error)
        case Interrupted() | KeyboardInterrupt():
            resume = ["resume=true"] if config_name == "train" and "resume=true" not in typed else []
            again = shlex.join(["python", "-m", f"botscalp.{config_name}", *typed, *resume])
            code, message = 130, f"interrupted. {'Finished windows are kept. ' if resume else ''}To go on: {again}"
        case _:
            print(masked("".join(traceback.format_exception(error))), end="", file=sys.stderr)
            code, message = 1, "this is a fault of botscalp, not of your input; please report the lines above"
    print(masked(message), file=sys.stderr)
    return code


def _told(error: UserError, config_name: str) -> str:
    """The message, with the file that said what it is about, where the user chose one, and the default of what is refused."""
    path = set_in(error.key)
    problem = error.problem if path is None else f"{error.problem} (set in {path})"
    default = default_of(error.key, config_name) if isinstance(error, NotAllowedError) else None
    remedy = error.remedy if default is None else f"{error.remedy}; the default is {default}"
    return str(UserError(error.key, error.value, problem, remedy))


def _while_composing(error: BaseException) -> bool:
    """Whether it came up in Hydra itself or in what reads its files, before our task began."""
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if not isinstance(error, ValueError | OSError | RecursionError):
        return False
    return any(name.endswith("config_loader_impl.py") for name in frames) or "/hydra/" in frames[-1]
