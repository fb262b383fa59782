"""One job on the machine: `python -m hydra_plugins.hydra_ec2_launcher._job FOLDER`, started in the job's working folder.

The task came from the client, which is trusted; what goes back is JSON and files.
"""

import json
import os
import signal
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any


class Stopped(BaseException):
    """The agent asks the job to end: it is run again elsewhere, and writes no result."""


def versions() -> dict[str, str]:
    """What both sides must have alike for a task to travel."""
    minor = ".".join(map(str, sys.version_info[:2]))
    return {"python": minor, "cloudpickle": version("cloudpickle"), "hydra-core": version("hydra-core")}


def main(folder: Path) -> int:
    """Run the job of that folder and write its result.json."""
    signal.signal(signal.SIGTERM, _stop)
    spec = json.loads((folder / "spec.json").read_text())
    result = {"schema": 1, "job": spec["job"], "config_hash": spec["config_hash"], "return_value": None, "error": None}
    try:
        answer = run(folder / "task.pkl", spec)
        json.dumps(answer["return_value"], allow_nan=True)
        result |= answer
    except (Exception, SystemExit) as error:  # the task's own failure, or what kept it from starting
        traceback.print_exc()
        result |= {"status": "failed", "error": described(error)}
    except BaseException:  # Stopped, or what the task makes of SIGTERM: no result, the job is run again
        return 128 + signal.SIGTERM
    aside = folder / ".result.json"
    aside.write_text(json.dumps(result, indent=1))
    os.replace(aside, folder / "result.json")
    return 0 if result["status"] == "completed" else 1


def run(task: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """What result.json says of a task that returned; what it raised is raised."""
    here = versions()
    if here != spec["versions"]:
        raise RuntimeError(f"the machine has {here}, and the task was packed with {spec['versions']}")
    import cloudpickle
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import JobStatus, run_job, setup_globals
    from omegaconf import OmegaConf, open_dict

    setup_globals()
    packed = cloudpickle.loads(task.read_bytes())
    Singleton.set_state(packed["singletons"])
    config = packed["config"]
    with open_dict(config):
        config.hydra.runtime.cwd = os.getcwd()
        for key, value in spec["changes"].items():
            OmegaConf.update(config, key, value)
    HydraConfig.instance().set_config(config)
    done = run_job(
        hydra_context=packed["hydra_context"],
        task_function=packed["task_function"],
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    if done.status is JobStatus.FAILED:
        raise done._return_value
    changed_folder = done.working_dir != os.getcwd()
    return {"status": "completed", "return_value": done.return_value, "changed_folder": changed_folder}


def described(error: BaseException) -> dict[str, str]:
    """An exception as text: classes and locks do not travel."""
    text = "".join(traceback.format_exception(error))
    return {"type": type(error).__name__, "message": str(error), "traceback": text}


def _stop(signum: int, frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
