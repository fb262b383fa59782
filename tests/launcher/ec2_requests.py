"""What tests of renting ask for: a cloud of boto3 in front of the fake AWS, and a request that it grants."""

import pytest
from aws_faults import DLAMI, FakeAws

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import DEADLINE_TAG, OWNER_TAG, SWEEP_TAG, Market, Request, Rung
from hydra_plugins.hydra_ec2_launcher.cloud.ec2 import Ec2

REGION, ZONE, TYPE = "us-east-1", "us-east-1a", "g5.2xlarge"
SWEEP = "2031-02-03"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHnXNKH6gTEZ8kpx5cZJcQVkHyXe3qYJcjmUWdQYQ9bR"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO2Jb1n2h7s4GkG2K0mDqHkGf1m0r8m2y8mJ2o4m6c5R"
CALLER, LATER_CALLER = "198.51.100.7/32", "203.0.113.9/32"
TAGS = {OWNER_TAG: "me", SWEEP_TAG: SWEEP, DEADLINE_TAG: "2031-02-03T04:05:06+00:00"}


@pytest.fixture
def ec2(aws: FakeAws) -> Ec2:
    """A cloud at the fake AWS, which has one image."""
    aws.publish(REGION)
    return Ec2(owner="me", scheduler_role="arn:aws:iam::123456789012:role/botscalp-scheduler")


def request_for(ec2: Ec2, market: Market = Market.SPOT, zone: str = ZONE, token: str = "token-1") -> Request:
    """One that the fake AWS grants, with what it needs prepared."""
    group, key = ec2.prepare(REGION, sweep=SWEEP, public_key=KEY, caller=CALLER)
    return Request(
        token=token,
        rung=Rung(market=market, region=REGION, zone=zone, ami=DLAMI),
        image=ec2.image(REGION, DLAMI),
        instance_type=TYPE,
        disk_gb=100,
        key_name=key,
        security_group=group,
        user_data="#cloud-config\n{}\n",
        tags=TAGS,
    )
