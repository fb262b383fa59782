"""Fixtures that several tests of the launcher share."""

from aws_faults import aws
from ec2_requests import ec2
from loopback_sshd import sshd_fixture
from mlflow_stores import box, store, stores, sweep
from rented_bench import bench_fixture

__all__ = ["aws", "bench_fixture", "box", "ec2", "sshd_fixture", "store", "stores", "sweep"]
