"""When the machine has to go: pure functions of times and counts."""

from __future__ import annotations

from dataclasses import dataclass

from settings import Limits

BUDGET = "budget"


@dataclass(frozen=True)
class Facts:
    """What the clocks look at; times are unix times in seconds."""

    now: float
    booted: float
    open_jobs: int
    """that run, or are queued and may still start"""
    running: int
    unharvested: int
    """ended jobs the client has not fetched"""
    quiet_since: float
    """the last time something happened: the agent started, a job came, ended or was harvested"""
    client_seen: float
    shutdown_asked: bool = False


@dataclass(frozen=True)
class Ending:
    """A clock that has struck."""

    clock: str
    words: str
    at: float


def struck(limits: Limits, facts: Facts) -> Ending | None:
    """The clock that ends the machine, the most urgent first; None as long as it may go on."""
    checks = {
        "shutdown": facts.shutdown_asked and "the client asked for it",
        "hard": _past_deadline(limits, facts) and "the hard deadline is reached",
        BUDGET: _over_budget(limits, facts) and f"{spent_usd(limits, facts):.2f} USD of {limits.budget_usd} are spent",
        "idle": facts.open_jobs == 0
        and facts.unharvested == 0
        and facts.now - facts.quiet_since >= limits.idle_s
        and f"no job and nothing to fetch for {limits.idle_s:.0f} s",
        "no-client": facts.open_jobs == 0
        and facts.now - facts.client_seen >= limits.no_client_s
        and f"no job and no client for {limits.no_client_s:.0f} s",
    }
    return next((Ending(clock, words, facts.now) for clock, words in checks.items() if words), None)


def may_power_off(ending: Ending, limits: Limits, facts: Facts) -> bool:
    """Whether nothing runs any more and nobody is waited for; after a spent budget results wait for a while."""
    waits = (
        ending.clock == BUDGET
        and facts.unharvested > 0
        and facts.now < ending.at + limits.harvest_s
        and not _past_deadline(limits, facts)
        and not facts.shutdown_asked
    )
    return facts.running == 0 and not waits


def spent_usd(limits: Limits, facts: Facts) -> float:
    """What the sweep has cost by now."""
    since = facts.booted if limits.spent_at is None else limits.spent_at
    return limits.spent_usd + (limits.usd_per_hour or 0.0) * (facts.now - since) / 3600


def _past_deadline(limits: Limits, facts: Facts) -> bool:
    return limits.hard_deadline is not None and facts.now >= limits.hard_deadline


def _over_budget(limits: Limits, facts: Facts) -> bool:
    return limits.budget_usd is not None and spent_usd(limits, facts) >= limits.budget_usd
