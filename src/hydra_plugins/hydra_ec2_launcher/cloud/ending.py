"""The end of one machine, until the cloud itself says so."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import AnswerLostError, Cloud, Instance, RefusedError
from hydra_plugins.hydra_ec2_launcher.cloud.events import Terminated
from hydra_plugins.hydra_ec2_launcher.cloud.lease import Attempt
from hydra_plugins.hydra_ec2_launcher.cloud.requesting import Now, Sleep

log = logging.getLogger(__name__)

END_WITHIN_S = 900.0
FORGOTTEN_S = 600.0
"""a machine younger than this may only not be visible yet; an older one that the cloud does not know is gone"""


class StillLiveError(RuntimeError):
    """A machine, or a disk of it, could not be ended: it may still cost money."""


def end(cloud: Cloud, attempt: Attempt, tags: Mapping[str, str], *, now: Now, sleep: Sleep) -> Terminated:
    """Terminate the attempt's machine, again and again, until it is gone and its disks are; the event that says so.

    Raises:
        StillLiveError: that has not happened within 15 minutes; calling again is right.
    """
    region = attempt.terms.rung.region
    assert attempt.instance_id is not None, "only an answered attempt is ended"
    give_up = now() + timedelta(seconds=END_WITHIN_S)
    wait_s = 2.0
    found_live = False
    while True:
        try:
            instance = cloud.describe(region, attempt.instance_id)
            if (gone := _gone(instance, attempt, now())) is None:
                found_live = True
                trouble = f"it is {instance.state if instance else 'not visible'}"
                cloud.terminate(region, attempt.instance_id)
            elif volumes := cloud.volumes(region, tags):
                trouble = f"its disks remain: {', '.join(volumes)}"
            else:
                # One that is found dead was ended by its clocks at the latest.
                ended_at = now() if found_live else min(now(), attempt.terms.outer_deadline)
                return Terminated(at=now(), described=gone, volumes=(), ended_at=ended_at)
        except (AnswerLostError, RefusedError) as error:
            trouble = str(error)
        if now() >= give_up:
            raise StillLiveError(
                f"machine {attempt.instance_id} in {region} could not be ended: {trouble}\n"
                f"  remedy: aws ec2 terminate-instances --region {region} --instance-ids {attempt.instance_id}"
            )
        log.debug("machine %s: %s", attempt.instance_id, trouble)
        sleep(wait_s)
        wait_s = min(2 * wait_s, 30.0)


def _gone(instance: Instance | None, attempt: Attempt, now: datetime) -> Literal["terminated", "forgotten"] | None:
    """In which way the cloud says that the machine is gone; None where it does not."""
    if instance is not None:
        return None if instance.live else "terminated"
    requested_at = attempt.visited[0][1]
    return "forgotten" if now - requested_at > timedelta(seconds=FORGOTTEN_S) else None
