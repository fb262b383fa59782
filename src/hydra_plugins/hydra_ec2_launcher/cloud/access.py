"""Who may log in to a sweep's machines: its own key, from one address, through its own security group."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from hydra_plugins.hydra_ec2_launcher.cloud.calls import Client, answers
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import RefusedError

SSH = 22
_OWN_ADDRESS = "\n  remedy: give your own as /32, or /128 with IPv6"


def name(sweep: str) -> str:
    """What the sweep's key and its security group are called."""
    return f"botscalp-{sweep}"


def import_key(ec2: Client, sweep: str, public_key: str, tags: Mapping[str, str]) -> str:
    """Make the key pair's public half known, in place of an older one of that name; the key's name."""

    def imported() -> None:
        specification = tag_specifications(tags, "key-pair")
        with answers():
            ec2.import_key_pair(KeyName=name(sweep), PublicKeyMaterial=public_key, TagSpecifications=specification)

    try:
        imported()
    except RefusedError as error:
        if error.code != "InvalidKeyPair.Duplicate":
            raise
        with answers():
            ec2.delete_key_pair(KeyName=name(sweep))
        imported()
    return name(sweep)


def open_to(ec2: Client, sweep: str, caller: str, tags: Mapping[str, str]) -> str:
    """Make or find the sweep's security group and let ssh in from the caller alone; the group's id.

    Raises:
        ValueError: the caller is not a single address, or the region has no default network.
    """
    rule = _rule(caller)
    group = _group(ec2, sweep) or _made_group(ec2, sweep, tags)
    old = [permission for permission in group["IpPermissions"] if _ranges(permission) != _ranges(rule)]
    with answers():
        if old:
            ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=old)
        if len(old) == len(group["IpPermissions"]):
            ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
    return str(group["GroupId"])


def withdraw(ec2: Client, sweep: str) -> None:
    """Delete the security group, then the key; the group first, since it is refused while a machine uses it."""
    group = _group(ec2, sweep)
    with answers():
        if group is not None:
            ec2.delete_security_group(GroupId=group["GroupId"])
        if ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name(sweep)]}])["KeyPairs"]:
            ec2.delete_key_pair(KeyName=name(sweep))


def tag_specifications(tags: Mapping[str, str], *resources: str) -> list[dict[str, Any]]:
    """The same tags for several kinds of resources, as EC2 takes them."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": resource, "Tags": pairs} for resource in resources]


def single_address(caller: str) -> IPv4Network | IPv6Network:
    """The caller's own address as a network; ValueError for anything wider."""
    try:
        network = ip_network(caller, strict=False)
    except ValueError as error:
        raise ValueError(f"hydra.launcher.rent.caller={caller}: not an address{_OWN_ADDRESS}") from error
    if network.num_addresses > 1:
        raise ValueError(f"hydra.launcher.rent.caller={caller}: more than one address{_OWN_ADDRESS}")
    return network


def _rule(caller: str) -> dict[str, Any]:
    network = single_address(caller)
    if network.version == 4:
        ranges: dict[str, Any] = {"IpRanges": [{"CidrIp": str(network)}]}
    else:
        ranges = {"Ipv6Ranges": [{"CidrIpv6": str(network)}]}
    return {"IpProtocol": "tcp", "FromPort": SSH, "ToPort": SSH, **ranges}


def _ranges(permission: Mapping[str, Any]) -> tuple[object, ...]:
    """Where a rule lets in, from where, and nothing of how EC2 writes it."""
    addresses = [entry["CidrIp"] for entry in permission.get("IpRanges", ())]
    addresses += [entry["CidrIpv6"] for entry in permission.get("Ipv6Ranges", ())]
    others = (permission.get("UserIdGroupPairs") or None, permission.get("PrefixListIds") or None)
    return permission["IpProtocol"], permission.get("FromPort"), permission.get("ToPort"), sorted(addresses), others


def _group(ec2: Client, sweep: str) -> Mapping[str, Any] | None:
    with answers():
        groups: Sequence[Mapping[str, Any]] = ec2.describe_security_groups(
            Filters=[{"Name": "group-name", "Values": [name(sweep)]}]
        )["SecurityGroups"]
    return groups[0] if groups else None


def _made_group(ec2: Client, sweep: str, tags: Mapping[str, str]) -> Mapping[str, Any]:
    with answers():
        networks = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not networks:
            region = ec2.meta.region_name
            raise ValueError(
                f"hydra.launcher.rent.regions={region}: the region has no default network\n"
                f"  remedy: aws ec2 create-default-vpc --region {region}"
            )
        made = ec2.create_security_group(
            GroupName=name(sweep),
            Description=f"ssh to the machines of sweep {sweep}",
            VpcId=networks[0]["VpcId"],
            TagSpecifications=tag_specifications(tags, "security-group"),
        )
    return {"GroupId": made["GroupId"], "IpPermissions": []}
