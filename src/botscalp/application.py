"""What all commands share: compose with Hydra, run the task, and turn every error into a message and an exit code."""

import functools
import os
import re
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from botscalp.config import CONF
from botscalp.errors import CausalityError, Interrupted, UnwantedVerdictError, UserError
from botscalp.options import nearest
from botscalp.secrets import masked, refuse_variables

_QUOTING = """quote a value that holds braces, commas or = twice: 'data.path="bars/{symbol}.parquet"'"""

Task = Callable[[DictConfig], Any]


def run_application(task: Task, *, config_name: str, verb: str | None = None) -> NoReturn:
    """Run `task` on the config that the command line composes from conf/<config_name>.yaml, and exit.

    Exit codes: 0 done, 2 the user's input, 3 a causality violation, 4 a verdict listed in fail_on,
    130 interrupted, 1 anything else (the only case with a traceback).

    Args:
        verb: what was taken from the command line, on which Hydra must not see it, and belongs to the command.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors to us instead of printing and exiting with 1
    _interrupt_on_signals()
    try:
        alone = _alone(task, config_name, verb)
        hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")(alone)()
    except BaseException as error:
        sys.exit(_explained(error, config_name, verb))
    sys.exit(0)


def _alone(task: Task, config_name: str, verb: str | None) -> Task:
    """The task, explaining its own errors where it is no job of a sweep: Hydra adds a line of its own to those."""

    @functools.wraps(task)
    def run(cfg: DictConfig) -> Any:
        _interrupt_on_signals()  # a launcher may run the task in a process of its own
        try:
            refuse_variables(cfg)  # of a sweep's job: what the sweep itself sets
            return task(cfg)
        except Exception as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            sys.exit(_explained(error, config_name, verb))

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


def _explained(error: BaseException, config_name: str, verb: str | None) -> int | str | None:
    """Say on stderr what happened and what to do about it; the exit code."""
    match error:
        case SystemExit():
            return error.code
        case UserError():
            code, message = 2, str(error)
        case HydraException() | OmegaConfBaseException():
            code, message = 2, _composition_message(error, config_name)
        case ValueError() if "/hydra/" in traceback.extract_tb(error.__traceback__)[-1].filename:
            code, message = 2, _composition_message(error, config_name)
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
            resume = ["resume=true"] if config_name == "train" and "resume=true" not in sys.argv else []
            words = ([verb] if verb else []) + sys.argv[1:] + resume
            again = shlex.join(["python", "-m", f"botscalp.{config_name}", *words])
            code, message = 130, f"interrupted. {'Finished windows are kept. ' if resume else ''}To go on: {again}"
        case _:
            print(masked("".join(traceback.format_exception(error))), end="", file=sys.stderr)
            code, message = 1, "this is a fault of botscalp, not of your input; please report the lines above"
    print(masked(message), file=sys.stderr)
    return code


def _composition_message(error: Exception, config_name: str) -> str:
    """Hydra's complaint about the command line as one message: key, value, and the nearest valid choice."""
    text = str(error)
    if option := re.search(r"Could not find '(?:(.+)/)?([^']+)'", text):
        group, word = option[1] or config_name, option[2]
        return str(
            UserError(group, word, "no such option", nearest(word, re.findall(r"^\t([^\s,=]+)$", text, re.MULTILINE)))
        )
    if key := re.search(r"Could not (?:override|append to config|delete from config)[^']*'([^']+)'", text):
        typed = next((word.partition("=")[2] for word in sys.argv[1:] if word.startswith(f"{key[1]}=")), "")
        return str(UserError(key[1], typed, "no such key", _nearest_key(key[1], config_name)))
    if "Ambiguous value" in text:
        return f"{text.strip().splitlines()[0]}\n  remedy: several values make a sweep: python -m botscalp.{config_name} -m ..."
    remedy = f"see python -m botscalp.{config_name} --help"
    if isinstance(error, OverrideParseException):
        return str(UserError(*error.override.partition("=")[::2], "cannot be read", f"{_QUOTING}; {remedy}"))
    return f"{text.strip().splitlines()[0]}\n  remedy: {remedy}"


def _nearest_key(key: str, config_name: str) -> str:
    """The keys at the same level of what the command line's valid choices compose, nearest first."""
    choices = [word for word in sys.argv[1:] if (CONF / f"{word.replace('=', '/', 1)}.yaml").is_file()]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose(config_name, overrides=choices)
    if (CONF / key).is_dir():
        return f"it is a group: choose one of {', '.join(sorted(path.stem for path in (CONF / key).glob('*.yaml')))}"
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    if not isinstance(node, DictConfig):
        return nearest(parent.partition(".")[0], map(str, cfg))
    return nearest(name, [str(word) for word in node if not str(word).startswith("_")])
