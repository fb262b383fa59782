"""The IAM policy, by a strict reading: what it allows is named, placed, and ours."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hydra_plugins.hydra_ec2_launcher.cloud import policy as module
from hydra_plugins.hydra_ec2_launcher.cloud.policy import policy, scheduler_policy

ROLE = "arn:aws:iam::123456789012:role/botscalp-scheduler"
REGIONS = ["us-east-1", "us-west-2"]
RENT: dict[str, Any] = {"regions": REGIONS, "instance_types": ["g5.2xlarge"], "owner": "me"}
OPERATORS = {"StringEquals", "Bool", "Null"}


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements as IAM would read them from the file."""
    read = json.loads(json.dumps(document))
    assert set(read) == {"Version", "Statement"} and read["Version"] == "2012-10-17"
    for statement in read["Statement"]:
        assert (
            {"Sid", "Effect", "Action", "Resource"}
            <= set(statement)
            <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        )
        assert statement["Effect"] == "Allow" and statement["Sid"].isalnum()
        assert statement["Action"] and statement["Resource"]
        assert set(statement.get("Condition", {})) <= OPERATORS
    assert len({statement["Sid"] for statement in read["Statement"]}) == len(read["Statement"])
    return list(read["Statement"])


def allowing(document: dict[str, Any], action: str) -> Iterator[dict[str, Any]]:
    return (statement for statement in statements(document) if action in statement["Action"])


def equal(statement: dict[str, Any]) -> dict[str, Any]:
    return dict(statement.get("Condition", {}).get("StringEquals", {}))


@pytest.fixture(params=[None, ROLE], ids=["without a switch", "with a switch"])
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    return policy(**RENT, scheduler_role=request.param)


def test_no_action_is_a_wildcard_and_no_identity_is_made(document: dict[str, Any]) -> None:
    actions = [action for statement in statements(document) for action in statement["Action"]]
    assert not [action for action in actions if "*" in action]
    assert {action for action in actions if action.startswith("iam:")} <= {"iam:PassRole"}


def test_every_ec2_call_is_bound_to_the_regions(document: dict[str, Any]) -> None:
    for statement in statements(document):
        if any(action.startswith("ec2:") for action in statement["Action"]):
            assert equal(statement)["aws:RequestedRegion"] == REGIONS


def test_only_reading_is_allowed_on_everything(document: dict[str, Any]) -> None:
    for statement in statements(document):
        if "*" in statement["Resource"]:
            assert all(action.startswith("ec2:Describe") for action in statement["Action"])


def test_machines_are_rented_of_the_types_tagged_and_without_a_role(document: dict[str, Any]) -> None:
    kinds = {kind: one for one in allowing(document, "ec2:RunInstances") for kind in one["Resource"]}
    instance = kinds["arn:aws:ec2:*:*:instance/*"]
    assert equal(instance)["ec2:InstanceType"] == ["g5.2xlarge"]
    assert equal(instance)["ec2:MetadataHttpTokens"] == "required"
    assert instance["Condition"]["Null"] == {"ec2:InstanceProfile": "true"}
    for kind in ("instance", "volume", "network-interface", "spot-instances-request"):
        assert equal(kinds[f"arn:aws:ec2:*:*:{kind}/*"])["aws:RequestTag/botscalp:owner"] == "me"
    for kind in ("key-pair", "security-group"):
        assert equal(kinds[f"arn:aws:ec2:*:*:{kind}/*"])["aws:ResourceTag/botscalp:owner"] == "me"
    assert kinds["arn:aws:ec2:*:*:volume/*"]["Condition"]["Bool"] == {"ec2:Encrypted": "true"}
    assert equal(kinds["arn:aws:ec2:*::image/ami-*"])["ec2:Owner"] == ["amazon"]


@pytest.mark.parametrize(
    "action",
    [
        "ec2:TerminateInstances",
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteKeyPair",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:RevokeSecurityGroupIngress",
        "ec2:GetConsoleOutput",
    ],
)
def test_only_what_carries_our_tag_is_touched(document: dict[str, Any], action: str) -> None:
    allowed = list(allowing(document, action))
    assert allowed
    assert all(equal(statement)["aws:ResourceTag/botscalp:owner"] == "me" for statement in allowed)


def test_tags_are_put_only_while_a_thing_is_made(document: dict[str, Any]) -> None:
    (tagging,) = allowing(document, "ec2:CreateTags")
    assert set(equal(tagging)["ec2:CreateAction"]) == {"RunInstances", "ImportKeyPair", "CreateSecurityGroup"}


def test_parameters_are_the_public_ones(document: dict[str, Any]) -> None:
    (reading,) = allowing(document, "ssm:GetParameter")
    assert len(reading["Resource"]) == len(REGIONS) * len(module.PUBLIC_IMAGES)
    assert all(":parameter/aws/service/" in resource for resource in reading["Resource"])


def test_one_role_is_passed_to_one_service_or_none() -> None:
    assert not list(allowing(policy(**RENT), "iam:PassRole"))
    (passing,) = allowing(policy(**RENT, scheduler_role=ROLE), "iam:PassRole")
    assert passing["Resource"] == [ROLE]
    assert equal(passing) == {"iam:PassedToService": "scheduler.amazonaws.com"}


def test_the_switch_ends_our_machines_alone() -> None:
    (ending,) = statements(scheduler_policy(regions=REGIONS, owner="me"))
    assert ending["Action"] == ["ec2:TerminateInstances"]
    assert equal(ending) == {"aws:RequestedRegion": REGIONS, "aws:ResourceTag/botscalp:owner": "me"}
