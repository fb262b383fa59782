"""The keys of `hydra/launcher=ec2`. Hydra imports this module at every start: nothing heavy may be imported here."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore


@dataclass
class Rent:
    """What to rent, in the order to ask for it."""

    instance_type: str = "g5.2xlarge"
    markets: list[str] = field(default_factory=lambda: ["spot", "on-demand"])
    regions: list[str] = field(default_factory=lambda: ["us-east-1"])
    amis: list[str] = field(default_factory=list)
    """image ids, or public SSM parameters that hold one; after the health gate rejects one, the next is tried"""
    ami_owners: list[str] = field(default_factory=lambda: ["amazon"])
    """accounts whose images are trusted"""
    user: str = "ubuntu"
    """the login of those images"""
    disk_gb: int = 100
    price_ceiling_usd: float | None = None
    """dollars per hour to reckon with where the cloud names no price; null refuses to rent then"""
    owner: str = "botscalp"
    """the value of the tag by which our machines are told from others"""
    scheduler_role: str | None = None
    """ARN of a role that lets EventBridge Scheduler end the machine; null leaves that safeguard out"""
    caller: str | None = None
    """the address that may reach port 22, as CIDR; null: the one that the internet sees"""


@dataclass
class Limits:
    """When jobs, and the machine, are ended."""

    budget_usd: float = 5.0
    max_hours: float = 6.0
    idle_minutes: float = 10.0
    """without a job, once everything is home"""
    no_client_hours: float = 2.0
    """after the last job, while nobody has come for the results"""
    job_hours: float | None = None
    """after which a job is ended and counts as failed; null for no limit"""
    no_progress_minutes: float = 30.0
    """neither a line of the log nor a file of the job has changed"""
    lost_minutes: float = 10.0
    """unreachable for so long, a machine is given up"""
    grace_s: float = 60.0
    """between asking a job to stop and killing it"""


@dataclass
class Needs:
    """What the health gate asks of a machine before it may work."""

    gpu: bool = True
    gpu_memory_mib: int = 20_000
    driver: str = "525"
    """the oldest driver for CUDA 12"""
    disk_gb: float = 20.0
    """free, at least"""
    wait_s: float = 180.0
    """for cloud-init and a driver that loads late"""


@dataclass
class Travel:
    """What goes to the machine beside the configs, and what comes back beside the run folders."""

    code: str | None = "."
    """the project whose files travel; null: the interpreter there has all it needs"""
    locks: list[str] = field(default_factory=lambda: ["requirements.lock", "requirements-torch.lock"])
    """what the environment there is made from; a file is compared with its hashes where it has some"""
    python: str | None = None
    """an interpreter that exists there; null: one is made from the lock files"""
    data_keys: list[str] = field(default_factory=list)
    """config keys that name files or folders, or patterns of them"""
    store_key: str | None = None
    """the config key that names the folder of the MLflow store; each job gets one of its own, which is imported here"""
    experiment_key: str | None = None
    """the config key that names the MLflow experiment, for what is recorded of the sweep itself"""
    carry: list[str] = field(default_factory=list)
    """folders of that store that a job finds again when it is run again, and that come home"""
    ledgers: list[str] = field(default_factory=list)
    """files of that store to which all jobs append lines; new lines come home"""
    again: dict[str, Any] = field(default_factory=dict)
    """keys and values that change for a job that is run again"""


@dataclass
class Connection:
    """How the machine is reached."""

    host: str = ""
    """of `machine=ssh`"""
    port: int = 22
    """of its SSH server"""
    user: str = ""
    """the login, for `machine=ssh`"""
    identity: str = ""
    """file of the private key, for `machine=ssh`"""
    host_key: str = ""
    """the machine's public host key, for `machine=ssh`: never taken on trust"""
    proxy_command: str | None = None
    """e.g. for SSM Session Manager"""
    folder: str = "botscalp/{sweep}"
    """on the machine; relative to the login's home, or to the sweep's folder where `machine=local`"""


@dataclass
class Site:
    """What belongs to the kind of machine, and differs on one that only plays the part."""

    poweroff: list[str] = field(default_factory=lambda: ["sudo", "-n", "systemctl", "poweroff"])
    """what the agent types when a clock runs out"""
    host_key: str = "/etc/ssh/ssh_host_ed25519_key"
    """replaced after the first login: the one that the machine was started with travelled in its user data"""
    imds: str | None = "http://169.254.169.254"
    """where a spot machine reads that it will be taken away; null: it never is"""
    who_am_i: str = "https://checkip.amazonaws.com"
    """what tells this computer the address from which the internet sees it"""
    tick_s: float = 1.0
    """between two looks of the agent there at its jobs and clocks"""
    poll_s: float = 5.0
    """how often the agent is asked"""
    pull_s: float = 60.0
    """how often the work of running jobs comes home"""


@dataclass
class Settings:
    """How a sweep runs on another machine."""

    machine: str = "ec2"
    """ec2 rents one, ssh takes one that you have, local plays both parts here"""
    slots: int = 3
    """jobs at a time on the machine; 0 measures the first and decides"""
    rent: Rent = field(default_factory=Rent)
    limits: Limits = field(default_factory=Limits)
    needs: Needs = field(default_factory=Needs)
    travel: Travel = field(default_factory=Travel)
    connection: Connection = field(default_factory=Connection)
    site: Site = field(default_factory=Site)


@dataclass
class EC2LauncherConf(Settings):
    """The settings as an option of the group hydra/launcher."""

    _target_: str = "hydra_plugins.hydra_ec2_launcher.ec2_launcher.EC2Launcher"
    _convert_: str = "object"
    home: str = "${hydra.sweep.dir}/.machine"
    """folder of what is known of the sweep's machines, and of what came back from them"""


ConfigStore.instance().store(group="hydra/launcher", name="ec2", node=EC2LauncherConf, provider="ec2_launcher")
