"""The clocks, first as functions of any facts, then against a poweroff that only writes down that it was called."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from agent_box import Box, MakeBox, boxes, program
from clocks import Ending, Facts, may_power_off, spent_usd, struck
from hypothesis import assume, given
from hypothesis import strategies as st
from settings import Limits

pytestmark = pytest.mark.slow

times = st.floats(0, 1e6)
facts = st.builds(
    lambda now, ages, jobs, running, unharvested, asked: Facts(
        now=now + 1e6,
        booted=now + 1e6 - max(ages),
        open_jobs=jobs + running,
        running=running,
        unharvested=unharvested,
        quiet_since=now + 1e6 - ages[0],
        client_seen=now + 1e6 - ages[1],
        shutdown_asked=asked,
    ),
    times,
    st.tuples(times, times, times),
    *[st.integers(0, 2)] * 3,
    st.booleans(),
)
limits = st.builds(
    Limits,
    idle_s=times,
    no_client_s=times,
    hard_deadline=st.none() | st.floats(5e5, 3e6),
    usd_per_hour=st.none() | st.floats(0, 5),
    budget_usd=st.none() | st.floats(0, 1000),
    spent_usd=st.floats(0, 100),
    harvest_s=times,
)


@given(limits, facts)
def test_work_is_cut_off_by_deadline_budget_and_wish_alone(limits: Limits, facts: Facts) -> None:
    assume(facts.open_jobs > 0)
    ending = struck(limits, facts)
    assert ending is None or ending.clock in ("shutdown", "hard", "budget")


@given(limits, facts)
def test_what_nobody_fetched_ends_neither_by_idleness_nor_before_the_client_was_waited_for(
    limits: Limits, facts: Facts
) -> None:
    assume(facts.unharvested > 0)
    ending = struck(limits, facts)
    assert ending is None or ending.clock != "idle"
    if ending is not None and ending.clock == "no-client":
        assert facts.now - facts.client_seen >= limits.no_client_s


@given(limits, facts)
def test_past_deadline_or_budget_some_clock_has_always_struck(limits: Limits, facts: Facts) -> None:
    late = limits.hard_deadline is not None and facts.now >= limits.hard_deadline
    spent = limits.budget_usd is not None and spent_usd(limits, facts) >= limits.budget_usd
    assert (struck(limits, facts) is not None) >= (late or spent)


@given(limits, facts, times)
def test_time_alone_never_takes_an_ending_back(limits: Limits, facts: Facts, later_s: float) -> None:
    if struck(limits, facts) is not None:
        assert struck(limits, replace(facts, now=facts.now + later_s)) is not None


@given(limits, facts, st.sampled_from(["shutdown", "hard", "budget", "idle", "no-client"]), times)
def test_power_goes_off_only_without_jobs_and_at_last_always(
    limits: Limits, facts: Facts, clock: str, ago_s: float
) -> None:
    ending = Ending(clock, "", facts.now - ago_s)
    if may_power_off(ending, limits, facts):
        assert facts.running == 0
    if facts.running == 0 and (clock != "budget" or facts.unharvested == 0 or ago_s > limits.harvest_s + 1):
        assert may_power_off(ending, limits, facts)


def test_the_budget_counts_what_was_spent_before_and_this_machines_hours() -> None:
    limits = Limits(usd_per_hour=1.2, spent_usd=0.5, budget_usd=3.0)
    hours = Facts(
        now=7200, booted=0, open_jobs=1, running=1, unharvested=0, quiet_since=0, client_seen=0, shutdown_asked=False
    )
    assert spent_usd(limits, hours) == pytest.approx(0.5 + 2 * 1.2)
    assert struck(limits, hours) is None
    ending = struck(limits, replace(hours, now=7500.0))
    assert ending is not None and ending.words == "3.00 USD of 3.0 are spent"


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[MakeBox]:
    """A box whose poweroff leaves the file `off`."""
    program(tmp_path / "bin", "off", "import sys; open(sys.argv[1], 'w').close()")
    with boxes(tmp_path) as make:
        yield lambda **settings: make(poweroff=[str(tmp_path / "bin/off"), "off"], **settings)


def _until_off(box: Box) -> None:
    box.until((box.root / "off").exists)
    box.until(lambda: not box.alive())


def test_idle_strikes_once_all_is_harvested(make_box: MakeBox) -> None:
    box = make_box()
    box.send(0, "result()")
    box.until_job(0, "DONE")
    box.agent("retime", '{"idle_s": 0.5}')
    time.sleep(1.5)
    assert box.alive() and box.state["unfetched"] == [0]
    box.agent("harvested", 0)
    _until_off(box)
    assert box.state["ending"]["clock"] == "idle"


def test_a_client_that_stays_away_leaves_results_behind_by_name(make_box: MakeBox) -> None:
    box = make_box()
    box.send(0, "time.sleep(1); result()")
    box.agent("retime", '{"no_client_s": 0.5}')
    _until_off(box)
    assert box.state["ending"]["clock"] == "no-client"
    assert box.state["unfetched"] == [0] and box.job(0)["state"] == "DONE"


def test_the_hard_deadline_lets_jobs_save_first(make_box: MakeBox) -> None:
    box = make_box(limits={"hard_deadline": time.time() + 1e6})
    handler = "signal.signal(signal.SIGTERM, lambda *_: (Path('saved').touch(), sys.exit(0)))"
    box.send(0, f"{handler}; Path('set').touch(); wait_for('never')")
    box.until(lambda: (box.work(0) / "set").exists())
    assert box.agent("retime", '{"hard_deadline": 1}')["hard_deadline"] == 1
    _until_off(box)
    assert (box.work(0) / "saved").exists()
    assert box.job(0)["state"] == "PREEMPTED" and box.state["ending"]["clock"] == "hard"


@pytest.mark.parametrize("fetched", [True, False])
def test_a_spent_budget_stops_jobs_and_waits_for_the_harvest(make_box: MakeBox, fetched: bool) -> None:
    box = make_box(slots=1, limits={"usd_per_hour": 1.0, "harvest_s": 600 if fetched else 2})
    box.send(0, "wait_for('never')")
    box.send(1, "result()")
    box.until_job(0, "RUNNING")
    box.agent("retime", '{"budget_usd": 0.0}')
    box.until_job(0, "PREEMPTED")
    assert box.state["ending"]["clock"] == "budget" and box.job(1)["state"] == "QUEUED"
    if fetched:
        time.sleep(0.5)
        assert not (box.root / "off").exists()
        box.agent("harvested", 0)
    _until_off(box)
    assert box.state["unfetched"] == ([] if fetched else [0])


def test_shutdown_drains_and_powers_off(make_box: MakeBox) -> None:
    box = make_box()
    box.send(0, "wait_for('never')")
    box.until_job(0, "RUNNING")
    box.agent("shutdown")
    _until_off(box)
    assert box.job(0)["state"] == "PREEMPTED" and box.state["ending"]["clock"] == "shutdown"


def test_a_poweroff_that_fails_is_an_alarm_and_the_agent_stays(tmp_path: Path) -> None:
    with boxes(tmp_path) as make:
        box = make(poweroff=["false"])
        box.agent("shutdown")
        box.until(lambda: box.state.get("alarms"))
        assert "poweroff: CalledProcessError" in box.state["alarms"][0] and box.alive()
