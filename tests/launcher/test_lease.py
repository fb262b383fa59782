"""The state machine of a lease, by itself: what may follow what, and what an impossible event is answered with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cloud_model import broken_invariants
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Image, Instance, Market, Price, Rung
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
from hydra_plugins.hydra_ec2_launcher.cloud.lease import ImpossibleEventError, Lease, apply

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRICE = Price(usd_per_hour=0.5, source="spot price history", date="2026-03-01")


def terms(number: int) -> Terms:
    return Terms(
        number=number,
        token="t" * 64,
        rung=Rung(market=Market.SPOT, region="us-east-1", zone="us-east-1a", ami="ami-1"),
        image=Image(id="ami-1", name="DLAMI", owner="amazon", root_device="/dev/sda1"),
        instance_type="g5.2xlarge",
        disk_gb=100,
        user="ubuntu",
        security_group="sg-1",
        key_name="key",
        host_key_fingerprint="SHA256:abc",
        price=PRICE,
        deadline=AT + timedelta(hours=3),
    )


def instance(number: int, state: str = "running") -> Instance:
    return Instance(
        id=f"i-{number}",
        region="us-east-1",
        zone="us-east-1a",
        market=Market.SPOT,
        state=state,
        address=None,
        launched_at=AT,
        tags={},
    )


def after(*events: Event) -> Lease:
    lease = Lease()
    for event in events:
        lease = apply(lease, event)
    return lease


def moved(to: State) -> Moved:
    return Moved(at=AT, to=to)


RENTED = (
    Planned(at=AT, sweep="sweep-1"),
    Prepared(at=AT, region="us-east-1"),
    Requested(at=AT, terms=terms(1)),
    Answered(at=AT, instance_id="i-1", launched_at=AT),
)
BOOTED = Booted(at=AT, address="192.0.2.7", scheduled=True)
GONE = Terminated(at=AT, described="terminated", volumes=(), ended_at=AT)
PAID = Settled(at=AT, cost_usd=1.0)
events = st.one_of(
    st.builds(Planned, at=st.just(AT), sweep=st.just("sweep-1")),
    st.builds(Prepared, at=st.just(AT), region=st.just("us-east-1")),
    st.builds(Cleaned, at=st.just(AT), region=st.just("us-east-1")),
    st.builds(Requested, at=st.just(AT), terms=st.integers(1, 4).map(terms)),
    st.builds(Refused, at=st.just(AT), why=st.just("InsufficientInstanceCapacity")),
    st.builds(Answered, at=st.just(AT), instance_id=st.sampled_from(["i-1", "i-2"]), launched_at=st.just(AT)),
    st.just(BOOTED),
    st.builds(Priced, at=st.just(AT), price=st.just(PRICE)),
    st.builds(Moved, at=st.just(AT), to=st.sampled_from(State), why=st.sampled_from(["", "because"])),
    st.builds(
        Terminated,
        at=st.just(AT),
        described=st.sampled_from(["terminated", "forgotten"]),
        volumes=st.sampled_from([(), ("vol-1",)]),
        ended_at=st.just(AT),
    ),
    st.just(PAID),
)


def test_a_whole_life() -> None:
    path = (State.CHECKING, State.STAGING, State.RUNNING, State.DETACHED, State.RUNNING)
    lease = after(*RENTED, BOOTED, *map(moved, path), moved(State.TERMINATING), GONE, PAID)
    assert lease.state is State.SETTLED and lease.current.cost_usd == 1.0
    assert [state for state, _ in lease.current.visited] == [
        State.REQUESTING,
        State.PENDING,
        State.BOOTING,
        *path,
        State.TERMINATING,
        State.TERMINATED,
        State.SETTLED,
    ]
    again = apply(lease, Requested(at=AT, terms=terms(2)))
    assert again.state is State.REQUESTING and len(again.attempts) == 2


@pytest.mark.parametrize(
    "impossible",
    [
        Requested(at=AT, terms=terms(2)),  # beside one that lives
        Refused(at=AT, why="late"),
        GONE,  # nobody has begun to end it
        PAID,
        moved(State.RUNNING),  # unchecked
        moved(State.SETTLED),
        Planned(at=AT, sweep="another"),
    ],
)
def test_impossible_while_pending(impossible: Event) -> None:
    with pytest.raises(ImpossibleEventError, match="PENDING, attempt 1"):
        apply(after(*RENTED), impossible)


def test_terminated_needs_the_disks_to_be_gone() -> None:
    ending = after(*RENTED, moved(State.TERMINATING))
    with pytest.raises(ImpossibleEventError, match="vol-1"):
        apply(ending, replace(GONE, volumes=("vol-1",)))
    assert apply(ending, GONE).state is State.TERMINATED


def test_nothing_is_requested_where_nothing_was_prepared() -> None:
    with pytest.raises(ImpossibleEventError):
        after(Planned(at=AT, sweep="sweep-1"), Requested(at=AT, terms=terms(1)))


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=60))
def test_no_order_of_events_leads_to_two_lives(order: list[Event]) -> None:
    """Whatever comes, what `apply` lets through keeps the invariants, and each ended attempt was confirmed gone."""
    lease = after(*RENTED)
    for event in order:
        try:
            lease = apply(lease, event)
        except ImpossibleEventError:
            continue
        assert broken_invariants(lease) == []
        assert [attempt.terms.number for attempt in lease.attempts] == list(range(1, len(lease.attempts) + 1))
        for attempt in lease.attempts:
            visited = [state for state, _ in attempt.visited]
            if State.SETTLED in visited and attempt.instance_id is not None:
                assert visited[-3:] == [State.TERMINATING, State.TERMINATED, State.SETTLED]


def test_invariants_see_what_the_cloud_has() -> None:
    pending = after(*RENTED)
    assert broken_invariants(pending, [instance(1), instance(0, "terminated")]) == []
    assert "2 machines live at once" in broken_invariants(pending, [instance(1), instance(2)])[0]
    assert broken_invariants(pending, [instance(2)]) == ["the lease is PENDING, and i-2 lives without it"]
    gone = apply(apply(pending, moved(State.TERMINATING)), GONE)
    assert broken_invariants(gone, [instance(1, "shutting-down")]) == [
        "the lease is TERMINATED, and i-1 lives without it"
    ]
    settled = pending.attempts[0]
    assert "beside a newer one" in broken_invariants(replace(pending, attempts=(settled, settled)))[0]
