"""A switch outside the machine and outside this computer: EventBridge Scheduler ends the instance at a set time."""

import json
from datetime import UTC, datetime
from typing import Any

from hydra_plugins.hydra_ec2_launcher.cloud.calls import Client, answers
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import RefusedError

GROUP = "default"
PREFIX = "botscalp-"
TERMINATE = "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances"


def schedule_termination(scheduler: Client, role_arn: str, instance_id: str, at: datetime) -> None:
    """Set the switch, or move it if it is set; it deletes itself once it has acted. RefusedError."""
    schedule: dict[str, Any] = {
        "Name": PREFIX + instance_id,
        "GroupName": GROUP,
        "ScheduleExpression": f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {"Arn": TERMINATE, "RoleArn": role_arn, "Input": json.dumps({"InstanceIds": [instance_id]})},
    }
    try:
        with answers():
            scheduler.create_schedule(**schedule)
    except RefusedError as error:
        if error.code != "ConflictException":
            raise
        with answers():
            scheduler.update_schedule(**schedule)
