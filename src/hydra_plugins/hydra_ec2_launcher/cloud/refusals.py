"""What an EC2 error code leaves to try, and what a person can do about it."""

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Remedy

_NO_CAPACITY = "no such machine is free there now; try later, or add regions"
_SPOT_QUOTA = "ask Service Quotas for more of L-3819A6DF (vCPUs of G and VT spot requests) in that region"
_ON_DEMAND_QUOTA = "ask Service Quotas for more of L-DB2E81BA (vCPUs of running on-demand G and VT) in that region"
_CREDENTIALS = "sign in again, or check the access key: `aws sts get-caller-identity`"
_POLICY = "give the user or role the policy that `gpu plan` prints"

REJECTED = "rejected"
"""how the code of a machine begins that was rented and found unfit"""

REFUSALS: dict[str, tuple[Remedy, str]] = {
    # One zone has no machine to give.
    "InsufficientInstanceCapacity": (Remedy.NEXT_ZONE, _NO_CAPACITY),
    "UnfulfillableCapacity": (Remedy.NEXT_ZONE, _NO_CAPACITY),
    "Unsupported": (Remedy.NEXT_ZONE, "the zone does not offer this instance type; add zones or regions"),
    "IdempotentInstanceTerminated": (Remedy.NEXT_ZONE, "the machine ended before anyone saw it; start again"),
    # A quota holds for one market in all zones of a region.
    "MaxSpotInstanceCountExceeded": (Remedy.NEXT_REGION, _SPOT_QUOTA),
    "VcpuLimitExceeded": (Remedy.NEXT_REGION, _ON_DEMAND_QUOTA),
    "InstanceLimitExceeded": (Remedy.NEXT_REGION, _ON_DEMAND_QUOTA),
    "OptInRequired": (Remedy.NEXT_REGION, "enable the region for the account, or leave it out"),
    "PendingVerification": (
        Remedy.NEXT_REGION,
        "AWS is still verifying the account for that region; wait for its mail",
    ),
    # Our own words for what led to no machine.
    "OverBudget": (Remedy.NEXT_ZONE, "raise hydra.launcher.limits.budget_usd, or lower max_hours"),
    "NoAnswer": (Remedy.NEXT_ZONE, "look whether AWS can be reached from here, and run `gpu reap`"),
    "Lost": (Remedy.NEXT_ZONE, "start again; its console output may say more"),
    "SpotMaxPriceTooLow": (Remedy.NEXT_MARKET, "spot costs as much as on-demand now; try later"),
    # The image is missing, or does not fit the machine.
    "InvalidAMIID.NotFound": (Remedy.NEXT_AMI, "the image does not exist in that region"),
    "InvalidAMIID.Unavailable": (Remedy.NEXT_AMI, "the image was withdrawn; name a newer one"),
    "InvalidAMIID.Malformed": (Remedy.NEXT_AMI, "an image id looks like ami-0123456789abcdef0"),
    "ParameterNotFound": (Remedy.NEXT_AMI, "that region has no public SSM parameter of this name"),
    "UntrustedImage": (Remedy.NEXT_AMI, "name an image of a trusted owner, or add its owner to rent.ami_owners"),
    # The request or the account has to change.
    "UnauthorizedOperation": (Remedy.STOP, _POLICY),
    "AccessDeniedException": (Remedy.STOP, _POLICY),
    "AuthFailure": (Remedy.STOP, _CREDENTIALS),
    "UnrecognizedClientException": (Remedy.STOP, _CREDENTIALS),
    "RequestExpired": (Remedy.STOP, "sign in again, and set this computer's clock"),
    "ExpiredToken": (Remedy.STOP, _CREDENTIALS),
    "IdempotentParameterMismatch": (Remedy.STOP, "one token was used for two different requests; start a new sweep"),
    "DependencyViolation": (Remedy.STOP, "a machine still uses it; try again when it has ended"),
}

_IMAGE_CODES = ("Unsupported", "InvalidParameterValue", "InvalidParameterCombination")
_IMAGE_WORDS = ("architecture", "boot mode")


def remedy(code: str, message: str = "") -> Remedy:
    """What is left to try after that refusal; nothing where the code is not known here."""
    # Some codes say what is wrong in their message alone: the image's processor or boot mode.
    if code in _IMAGE_CODES and any(words in message.lower() for words in _IMAGE_WORDS):
        return Remedy.NEXT_AMI
    return REFUSALS[code][0] if code in REFUSALS else Remedy.STOP


def advice(code: str) -> str | None:
    """What a person can do about that code; None where the code and its message say all there is to say."""
    if code.startswith(REJECTED):
        return "name another image in hydra.launcher.rent.amis, or change what hydra.launcher.needs asks for"
    return REFUSALS[code][1] if code in REFUSALS else None
