"""What all commands share: compose with Hydra, run the task, and turn every error into a message and an exit code."""

import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from botscalp.config import CONF, nearest
from botscalp.errors import CausalityError, Interrupted, UnwantedVerdict, UserError


def run_application(task: Callable[[DictConfig], Any], *, config_name: str) -> NoReturn:
    """Run `task` on the config that the command line composes from conf/<config_name>.yaml, and exit.

    Exit codes: 0 done, 2 the user's input, 3 a causality violation, 4 a verdict listed in fail_on,
    130 interrupted, 1 anything else (the only case with a traceback).
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors to us instead of printing and exiting with 1
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _interrupt)
    try:
        hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")(task)()
    except UserError as error:
        _stop(2, str(error))
    except (HydraException, OmegaConfBaseException) as error:
        _stop(2, _composition_message(error, config_name))
    except CausalityError as error:
        _stop(3, f"causality: {error}")
    except UnwantedVerdict as error:
        _stop(4, str(error))
    except Interrupted:
        command = f"python -m botscalp.{config_name} {shlex.join(sys.argv[1:])}".strip()
        resume = "" if config_name != "train" or "resume=true" in sys.argv else " resume=true"
        _stop(130, f"interrupted. To go on: {command}{resume}")
    except Exception:
        traceback.print_exc()
        _stop(1, "this is a fault of botscalp, not of your input; please report the lines above")
    sys.exit(0)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise Interrupted


def _stop(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


def _composition_message(error: Exception, config_name: str) -> str:
    """Hydra's complaint about the command line in one message that names the nearest valid choice."""
    text = str(error).strip()
    group, _, option = _quoted(text).rpartition("/")
    if "Could not find" in text and (CONF / group).is_dir():
        options = [path.stem for path in (CONF / group).glob("*.yaml")]
        return f"{group}={option}: no such option; {nearest(option, options)}"
    if "Could not override" in text or "Could not append" in text or "Key" in text:
        key = _quoted(text)
        return f"{key}: no such key; {_nearest_key(key, config_name)}"
    return f"{text.splitlines()[0]}\n  see python -m botscalp.{config_name} --help"


def _quoted(text: str) -> str:
    """The first word in single quotes, '' if there is none."""
    parts = text.split("'")
    return parts[1] if len(parts) > 2 else ""


def _nearest_key(key: str, config_name: str) -> str:
    """The keys of the default composition at the same level, nearest first."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose(config_name, overrides=[word for word in sys.argv[1:] if _is_choice(word)])
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    if not isinstance(node, DictConfig):
        return nearest(parent or key, [str(word) for word in cfg])
    return nearest(name, [f"{parent}.{word}" if parent else str(word) for word in node])


def _is_choice(word: str) -> bool:
    """Whether an override picks an existing option of a group, e.g. model=gru."""
    group, _, option = word.partition("=")
    return (CONF / group / f"{option}.yaml").is_file()
