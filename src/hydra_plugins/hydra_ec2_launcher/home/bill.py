"""Who used a sweep's machines, and what each job's part of their cost is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra_plugins.hydra_ec2_launcher.cloud.cost import Cost, Shares, shares
from hydra_plugins.hydra_ec2_launcher.home import mlflow_home
from hydra_plugins.hydra_ec2_launcher.home.mlflow_store import not_fatal
from hydra_plugins.hydra_ec2_launcher.home.sweep import Sweep, write_json


@dataclass(frozen=True, kw_only=True)
class Use:
    """One machine's work, as its agent told it last."""

    slot_s: Mapping[int, float]
    """for how long each job held a slot"""
    working_s: float
    """from the first job's start to the last one's end"""
    slots: int


def keep_state(sweep: Sweep, machine: int, state: Mapping[str, Any]) -> None:
    """Keep what the agent of the sweep's machine with that number says."""
    (sweep.folder / "machines").mkdir(exist_ok=True)
    write_json(sweep.folder / "machines" / f"{machine}.json", state)


def uses(sweep: Sweep) -> Sequence[Use]:
    """The work of each machine that had an agent."""
    states = [json.loads(path.read_text()) for path in sorted((sweep.folder / "machines").glob("*.json"))]
    return [use_of(state) for state in states]


def use_of(state: Mapping[str, Any]) -> Use:
    """What an agent's state says of slots; a job that had not ended when it was last heard of counts until then."""
    begun = {int(num): job for num, job in state["jobs"].items() if job["started"] is not None}
    ended = {num: job["ended"] or state["now"] for num, job in begun.items()}
    slot_s = {num: max(0.0, ended[num] - job["started"]) for num, job in begun.items()}
    first = min((job["started"] for job in begun.values()), default=0.0)
    working_s = max(0.0, max(ended.values(), default=0.0) - first)
    return Use(slot_s=slot_s, working_s=working_s, slots=state["slots"])


def divided(sweep: Sweep, cost: Cost, billed_s: float) -> Shares:
    """The cost of all machines, divided among the jobs by the time that they held slots."""
    found = uses(sweep)
    slot_s: dict[int, float] = {}
    for use in found:
        for num, seconds in use.slot_s.items():
            slot_s[num] = slot_s.get(num, 0.0) + seconds
    working_s = sum(use.working_s for use in found)
    slots = max([1, *(use.slots for use in found)])
    return shares(
        cost.total_usd, slots=slots, billed_s=max(billed_s, working_s, 1.0), working_s=working_s, slot_s=slot_s
    )


def record(sweep: Sweep, cost: Cost, *, planned_worst_usd: float, billed_s: float, settled: bool) -> None:
    """Show in MLflow what the sweep and each of its jobs have cost so far, or in all."""
    if sweep.store is None:
        return
    parts = divided(sweep, cost, billed_s)
    outcomes = [sweep.outcome(job.num) for job in sweep.jobs()]
    states = [outcome.state if outcome is not None else "OPEN" for outcome in outcomes]
    figures = {
        "planned_worst_usd": planned_worst_usd,
        "running_usd": cost.total_usd,
        "setup_usd": parts.setup_usd,
        "idle_usd": parts.idle_usd,
    } | ({"settled_usd": cost.total_usd} if settled else {})
    with not_fatal("the sweep's cost in MLflow"):
        mlflow_home.sweep_summary(
            sweep.store,
            sweep=sweep.name,
            costs=figures,
            jobs={state: states.count(state) for state in sorted(set(states))},
            params={"prices": "; ".join(cost.sources)[:500]},
            ended=settled,
            experiment=sweep.experiment,
        )
        for num, usd in parts.jobs_usd.items():
            mlflow_home.log_cost(sweep.store, sweep=sweep.name, job=num, metrics={"usd": usd})
