"""The IAM policy that renting needs, and no more: reading, renting what is tagged as ours, ending what is tagged so."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import OWNER_TAG
from hydra_plugins.hydra_ec2_launcher.cloud.schedule import GROUP, PREFIX

Statement = dict[str, Any]
PUBLIC_IMAGES = ("/aws/service/deeplearning/", "/aws/service/canonical/")
READS = (
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
)


def policy(
    *,
    regions: Sequence[str],
    instance_types: Sequence[str],
    owner: str,
    image_owners: Sequence[str] = ("amazon",),
    scheduler_role: str | None = None,
) -> dict[str, Any]:
    """What the user or role that rents must be allowed. EC2's Describe calls know no narrower resource than all."""
    here = {"aws:RequestedRegion": [*regions]}
    requested = {f"aws:RequestTag/{OWNER_TAG}": owner}
    ours = {f"aws:ResourceTag/{OWNER_TAG}": owner}
    statements = [
        _allow("Read", READS, ["*"], {"StringEquals": here}),
        _allow(
            "RentTagged",
            ["ec2:RunInstances"],
            _ec2("instance"),
            {
                "StringEquals": {
                    **here,
                    **requested,
                    "ec2:InstanceType": [*instance_types],
                    "ec2:MetadataHttpTokens": "required",
                },
                "Null": {"ec2:InstanceProfile": "true"},
            },
        ),
        _allow(
            "WithEncryptedDisk",
            ["ec2:RunInstances"],
            _ec2("volume"),
            {"StringEquals": {**here, **requested}, "Bool": {"ec2:Encrypted": "true"}},
        ),
        _allow(
            "WithInterface",
            ["ec2:RunInstances"],
            _ec2("network-interface", "spot-instances-request"),
            {"StringEquals": {**here, **requested}},
        ),
        _allow("InSubnet", ["ec2:RunInstances"], _ec2("subnet"), {"StringEquals": here}),
        _allow(
            "FromTrustedImage",
            ["ec2:RunInstances"],
            ["arn:aws:ec2:*::image/ami-*"],
            {"StringEquals": {**here, "ec2:Owner": [*image_owners]}},
        ),
        _allow(
            "BehindOwnGroup",
            ["ec2:RunInstances"],
            _ec2("key-pair", "security-group"),
            {"StringEquals": {**here, **ours}},
        ),
        _allow(
            "MakeAccess",
            ["ec2:ImportKeyPair", "ec2:CreateSecurityGroup"],
            _ec2("key-pair", "security-group"),
            {"StringEquals": {**here, **requested}},
        ),
        _allow("MakeAccessInNetwork", ["ec2:CreateSecurityGroup"], _ec2("vpc"), {"StringEquals": here}),
        _allow(
            "TagWhatIsMade",
            ["ec2:CreateTags"],
            _ec2("instance", "volume", "network-interface", "spot-instances-request", "key-pair", "security-group"),
            {
                "StringEquals": {
                    **here,
                    **requested,
                    "ec2:CreateAction": ["RunInstances", "ImportKeyPair", "CreateSecurityGroup"],
                }
            },
        ),
        _allow(
            "EndOwn",
            [
                "ec2:TerminateInstances",
                "ec2:GetConsoleOutput",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:RevokeSecurityGroupIngress",
                "ec2:DeleteSecurityGroup",
                "ec2:DeleteKeyPair",
            ],
            _ec2("instance", "key-pair", "security-group"),
            {"StringEquals": {**here, **ours}},
        ),
        _allow(
            "ReadPublicImages",
            ["ssm:GetParameter"],
            [f"arn:aws:ssm:{region}::parameter{path}*" for region in regions for path in PUBLIC_IMAGES],
        ),
    ]
    if scheduler_role is not None:
        schedules = [f"arn:aws:scheduler:{region}:*:schedule/{GROUP}/{PREFIX}*" for region in regions]
        statements += [
            _allow("SetSwitch", ["scheduler:CreateSchedule", "scheduler:UpdateSchedule"], schedules),
            _allow(
                "LendSwitchItsRole",
                ["iam:PassRole"],
                [scheduler_role],
                {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
            ),
        ]
    return {"Version": "2012-10-17", "Statement": statements}


def scheduler_policy(*, regions: Sequence[str], owner: str) -> dict[str, Any]:
    """What the role of EventBridge Scheduler must be allowed: to end machines of ours."""
    condition = {"StringEquals": {"aws:RequestedRegion": [*regions], f"aws:ResourceTag/{OWNER_TAG}": owner}}
    end = _allow("EndOwn", ["ec2:TerminateInstances"], _ec2("instance"), condition)
    return {"Version": "2012-10-17", "Statement": [end]}


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": [*actions], "Resource": [*resources]}
    return {**statement, "Condition": dict(condition)} if condition else statement


def _ec2(*kinds: str) -> list[str]:
    return [f"arn:aws:ec2:*:*:{kind}/*" for kind in kinds]
