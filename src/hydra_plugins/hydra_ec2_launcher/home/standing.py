"""How a sweep stands, in lines for a person, from what lies at home."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hydra_plugins.hydra_ec2_launcher.cloud import budget
from hydra_plugins.hydra_ec2_launcher.cloud.journal import read
from hydra_plugins.hydra_ec2_launcher.cloud.lease import Lease
from hydra_plugins.hydra_ec2_launcher.home.account import now, planned
from hydra_plugins.hydra_ec2_launcher.home.bill import divided
from hydra_plugins.hydra_ec2_launcher.home.sweep import JOURNAL, Sweep


def status_lines(sweep: Sweep) -> Sequence[str]:
    """The machine, the jobs, and what the agent said last."""
    lease = read(sweep.folder / JOURNAL)
    state = last_state(sweep)
    lines = [f"sweep    {sweep.name}  ({sweep.folder})", *machine_lines(lease)]
    for job in sweep.jobs():
        outcome = sweep.outcome(job.num)
        there = state.get("jobs", {}).get(str(job.num), {})
        word, reason = (outcome.state, outcome.reason) if outcome else (there.get("state", "OPEN"), there.get("reason"))
        lines.append(f"job {job.num:<4} {word:<9} {job.title}{f'  ({reason})' if reason and word != 'DONE' else ''}")
    if sample := state.get("utilisation"):
        lines.append("gpu      " + ", ".join(f"{name} {value:g}" for name, value in sample.items() if name != "at"))
    lines += [f"ALARM    {alarm}" for alarm in state.get("alarms", ())]
    if state:
        lines.append(f"heard    {datetime.fromtimestamp(state['now']).astimezone():%H:%M:%S}")
    return lines


def machine_lines(lease: Lease) -> Sequence[str]:
    """Each attempt to have a machine, and how it went."""
    lines = []
    for attempt in lease.attempts:
        rung, usage = attempt.terms.rung, attempt.usage(now())
        hours = 0.0 if usage is None else (usage.billed_until - usage.started_at).total_seconds() / 3600
        what = f"{rung.market.value} {rung.zone} {attempt.instance_id or '-'} {hours:.2f} h"
        why = f"  ({attempt.why})" if attempt.why else ""
        lines.append(f"machine  {attempt.terms.number}. {attempt.state.value}: {what}{why}")
    return lines or ["machine  none is rented"]


def cost_lines(sweep: Sweep) -> Sequence[str]:
    """Planned worst, running or settled cost, and each job's part."""
    lease = read(sweep.folder / JOURNAL)
    if not lease.attempts:
        return ["nothing was rented"]
    cost = budget.cost_of(lease, now())
    parts = divided(sweep, cost, budget.billed_s(lease, now()))
    return [
        str(planned(sweep.settings)),
        str(cost),
        *(f"job {num:<4} ${usd:.3f}" for num, usd in sorted(parts.jobs_usd.items())),
        f"before the first job and after the last ${parts.setup_usd:.3f}, idle slots ${parts.idle_usd:.3f}",
    ]


def log_of(sweep: Sweep, num: int) -> str:
    """What the job has printed on the machine that ran it last."""
    logs = sorted(sweep.job_folder(num).glob("log.*.txt"), key=lambda path: int(path.name.split(".")[1]))
    return logs[-1].read_text(errors="replace") if logs else ""


def last_state(sweep: Sweep) -> Mapping[str, Any]:
    """What the newest machine's agent said last; {} before the first word."""
    states = sorted((sweep.folder / "machines").glob("*.json"), key=lambda path: int(path.stem))
    state: Mapping[str, Any] = json.loads(states[-1].read_text()) if states else {}
    return state
