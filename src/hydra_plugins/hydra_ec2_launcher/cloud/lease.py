"""One slot's machine over a sweep: the attempts to rent it, and which events may follow which. Pure values.

An event is written down before the action that it announces, so a lease replayed from its events is what may be true of the
world, never less.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Price
from hydra_plugins.hydra_ec2_launcher.cloud.cost import Usage
from hydra_plugins.hydra_ec2_launcher.cloud.events import (
    Answered,
    Booted,
    Cleaned,
    Event,
    Moved,
    Planned,
    Prepared,
    Priced,
    Refused,
    Requested,
    Settled,
    State,
    Terminated,
    Terms,
)

_ENDINGS = frozenset({State.LOST, State.TERMINATING})

# What a `Moved` may do; the other events have their one state each.
_MOVES = {
    State.PENDING: _ENDINGS | {State.REJECTED},
    State.BOOTING: _ENDINGS | {State.CHECKING, State.REJECTED},
    State.CHECKING: _ENDINGS | {State.STAGING, State.REJECTED},
    State.STAGING: _ENDINGS | {State.RUNNING, State.INTERRUPTED},
    State.RUNNING: _ENDINGS | {State.DETACHED, State.INTERRUPTED},
    State.DETACHED: _ENDINGS | {State.RUNNING, State.INTERRUPTED},
    State.INTERRUPTED: _ENDINGS,
    State.REJECTED: frozenset({State.TERMINATING}),
    State.LOST: frozenset({State.TERMINATING}),
}
ENDED = frozenset({State.PLANNED, State.SETTLED})
"""there is no machine"""
DOOMED = frozenset({State.LOST, State.REJECTED, State.TERMINATING, State.TERMINATED})
"""the machine is to be ended, and its cost settled"""
CHECKED = frozenset({State.STAGING, State.RUNNING, State.DETACHED, State.INTERRUPTED})
"""the machine passed its check and may hold work"""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A request and the machine that it led to."""

    terms: Terms
    state: State
    visited: tuple[tuple[State, datetime], ...]
    """its states so far and since when"""
    prices: tuple[tuple[datetime, Price], ...]
    """each price that was seen, and since when"""
    instance_id: str | None = None
    launched_at: datetime | None = None
    address: str | None = None
    scheduled: bool = False
    """whether the cloud itself will end the machine at the outer deadline"""
    why: str = ""
    """the reason of its refusal, rejection, loss or end"""
    ended_at: datetime | None = None
    cost_usd: float = 0.0
    """0 until settled"""

    @property
    def rejected(self) -> bool:
        return any(state is State.REJECTED for state, _ in self.visited)

    def usage(self, now: datetime) -> Usage | None:
        """The machine's time so far, or in all; None where there was no machine."""
        if self.launched_at is None:
            return None
        return Usage(
            started_at=self.launched_at,
            ended_at=max(self.ended_at or now, self.launched_at),
            disk_gb=self.terms.disk_gb,
            prices=self.prices,
        )


@dataclass(frozen=True, kw_only=True)
class Lease:
    """All attempts to rent the slot's machine; only the last one can live."""

    sweep: str = ""
    """as in the machines' tags; "" before it is planned"""
    attempts: tuple[Attempt, ...] = ()
    prepared: frozenset[str] = frozenset()
    """regions that may hold a key and a security group of ours"""

    @property
    def state(self) -> State:
        return self.attempts[-1].state if self.attempts else State.PLANNED

    @property
    def current(self) -> Attempt:
        """The last attempt; there has to be one."""
        return self.attempts[-1]


class ImpossibleEventError(AssertionError):
    """An event that cannot follow the ones before it."""


def apply(lease: Lease, event: Event) -> Lease:
    """The lease after the event; ImpossibleEventError where that cannot happen."""
    _require((lease.sweep == "") == isinstance(event, Planned), lease, event)
    match event:
        case Planned():
            return replace(lease, sweep=event.sweep)
        case Prepared():
            return replace(lease, prepared=lease.prepared | {event.region})
        case Cleaned():
            return replace(lease, prepared=lease.prepared - {event.region})
        case Requested():
            _require(lease.state in (State.PLANNED, State.SETTLED), lease, event)
            _require(event.terms.number == len(lease.attempts) + 1, lease, event)
            _require(event.terms.rung.region in lease.prepared, lease, event)
            attempt = Attempt(
                terms=event.terms,
                state=State.REQUESTING,
                visited=((State.REQUESTING, event.at),),
                prices=((event.at, event.terms.price),),
            )
            return replace(lease, attempts=(*lease.attempts, attempt))
        case _:
            _require(bool(lease.attempts), lease, event)
            return replace(lease, attempts=(*lease.attempts[:-1], _advanced(lease, lease.current, event)))


def _advanced(
    lease: Lease, attempt: Attempt, event: Refused | Answered | Booted | Priced | Moved | Terminated | Settled
) -> Attempt:
    """The current attempt after an event that concerns it alone."""
    match event:
        case Priced():
            _require(attempt.state not in ENDED, lease, event)
            return replace(attempt, prices=(*attempt.prices, (event.at, event.price)))
        case Refused():
            _require(attempt.state is State.REQUESTING, lease, event)
            return _entered(replace(attempt, why=event.why, ended_at=event.at), State.SETTLED, event.at)
        case Answered():
            _require(attempt.state is State.REQUESTING, lease, event)
            answered = replace(attempt, instance_id=event.instance_id, launched_at=event.launched_at)
            return _entered(answered, State.PENDING, event.at)
        case Booted():
            _require(attempt.state is State.PENDING, lease, event)
            booted = replace(attempt, address=event.address, scheduled=event.scheduled)
            return _entered(booted, State.BOOTING, event.at)
        case Moved():
            _require(event.to in _MOVES.get(attempt.state, frozenset()), lease, event)
            return _entered(replace(attempt, why=event.why or attempt.why), event.to, event.at)
        case Terminated():
            _require(attempt.state is State.TERMINATING and not event.volumes, lease, event)
            return _entered(replace(attempt, ended_at=event.ended_at), State.TERMINATED, event.at)
        case Settled():
            _require(attempt.state is State.TERMINATED, lease, event)
            return _entered(replace(attempt, cost_usd=event.cost_usd), State.SETTLED, event.at)
        case _:
            assert_never(event)


def _entered(attempt: Attempt, state: State, at: datetime) -> Attempt:
    return replace(attempt, state=state, visited=(*attempt.visited, (state, at)))


def _require(possible: bool, lease: Lease, event: Event) -> None:
    if not possible:
        raise ImpossibleEventError(f"{lease.state.name}, attempt {len(lease.attempts)}: impossible event {event}")
