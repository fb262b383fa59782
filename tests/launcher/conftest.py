"""Fixtures that several tests of the launcher share."""

from aws_faults import aws
from ec2_requests import ec2
from loopback_sshd import sshd_fixture

__all__ = ["aws", "ec2", "sshd_fixture"]
