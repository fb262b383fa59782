"""One request for one machine, whatever becomes of its answer."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hydra_plugins.hydra_ec2_launcher.cloud.budget import Order
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import (
    ATTEMPT_TAG,
    DEADLINE_TAG,
    OWNER_TAG,
    SWEEP_TAG,
    AnswerLostError,
    Cloud,
    Image,
    Instance,
    Price,
    RefusedError,
    Remedy,
    Request,
    Rung,
)
from hydra_plugins.hydra_ec2_launcher.cloud.events import Terms

log = logging.getLogger(__name__)

Now = Callable[[], datetime]
Sleep = Callable[[float], None]
Answer = TypeVar("Answer")

SENDINGS = 3
VISIBLE_S = 180.0
"""a machine shows up under its tags within this time, or there is none"""
POLL_S = 5.0


def terms_of(
    order: Order,
    sweep: str,
    number: int,
    *,
    rung: Rung,
    image: Image,
    price: Price,
    access: tuple[str, str],
    deadline: datetime,
) -> Terms:
    """What the attempt asks for; `access` is the security group and the key's name."""
    security_group, key_name = access
    return Terms(
        number=number,
        token=token_of(sweep, number, rung),
        rung=rung,
        image=image,
        instance_type=order.instance_type,
        disk_gb=order.disk_gb,
        user=order.user,
        security_group=security_group,
        key_name=key_name,
        host_key_fingerprint=order.host_key_fingerprint,
        price=price,
        deadline=deadline,
    )


def request_of(order: Order, sweep: str, terms: Terms, user_data: str) -> Request:
    """The terms as the cloud is told them. Once the deadline in the tags has passed, anybody may end the machine."""
    deadline = terms.outer_deadline.astimezone(UTC).isoformat(timespec="seconds")
    return Request(
        token=terms.token,
        rung=terms.rung,
        image=terms.image,
        instance_type=terms.instance_type,
        disk_gb=terms.disk_gb,
        key_name=terms.key_name,
        security_group=terms.security_group,
        user_data=user_data,
        tags={**attempt_tags(order.owner, sweep, terms.number), DEADLINE_TAG: deadline},
    )


def token_of(sweep: str, number: int, rung: Rung) -> str:
    """The idempotency token of an attempt: 64 ASCII characters, EC2's limit."""
    words = (sweep, str(number), rung.market.value, rung.region, rung.zone, rung.ami)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def attempt_tags(owner: str, sweep: str, number: int) -> dict[str, str]:
    """The tags by which an attempt's machine and disks are found."""
    return {OWNER_TAG: owner, SWEEP_TAG: sweep, ATTEMPT_TAG: str(number)}


def rented(cloud: Cloud, request: Request, *, now: Now, sleep: Sleep) -> Instance:
    """The machine of the request; RefusedError where it led to none.

    A lost answer is asked for again with the same token. A refusal after that may be of the repetition alone, so the
    machine is then looked for by its tags.
    """
    verdict = RefusedError("NoAnswer", f"no answer to {SENDINGS} requests, and no machine to be seen", Remedy.NEXT_ZONE)
    for sending in range(SENDINGS):
        try:
            return cloud.request(request)
        except AnswerLostError as error:
            log.warning("the answer of RunInstances was lost (%s): asking again with the same token", error)
            sleep(2.0**sending)
        except RefusedError as refusal:
            if sending == 0:
                raise
            verdict = refusal
            break
    found = found_by_tags(cloud, request.rung.region, request.tags, now=now, sleep=sleep)
    if found is None:
        raise verdict
    return found


def found_by_tags(cloud: Cloud, region: str, tags: Mapping[str, str], *, now: Now, sleep: Sleep) -> Instance | None:
    """The machine with these tags, a live one first; None once it would have shown up."""
    machines = shown_up(lambda: cloud.find(region, tags) or None, now=now, sleep=sleep)
    return max(machines, key=lambda machine: machine.live) if machines else None


def shown_up(look: Callable[[], Answer | None], *, now: Now, sleep: Sleep) -> Answer | None:
    """What is looked for, once it is visible; None once it would have been."""
    give_up = now() + timedelta(seconds=VISIBLE_S)
    while (found := patiently(look, sleep=sleep)) is None and now() < give_up:
        sleep(POLL_S)
    return found


def patiently(ask: Callable[[], Answer], *, sleep: Sleep) -> Answer:
    """Ask a repeatable question until it is answered; the last AnswerLostError after half a minute."""
    for attempt in range(5):
        try:
            return ask()
        except AnswerLostError:
            sleep(2.0**attempt)
    return ask()
