"""What a machine is told at its first boot, as cloud-init's #cloud-config: who it is, who may log in, when it ends."""

import json
from datetime import UTC, datetime, timedelta

LIMIT_BYTES = 16 * 1024
"""EC2's limit"""
OUTER_LIMIT = timedelta(minutes=5)
"""how much later than the timer the second limit acts"""
UNITS = "/etc/systemd/system"

# Upgrades hold apt's lock, and replace the driver under a running job.
UPGRADES = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "apt-daily.service",
    "apt-daily-upgrade.service",
    "unattended-upgrades.service",
)

# A date and not a span, so that a reboot does not start it anew. Nothing may wait for systemd (--no-block) this early.
HARD_LIMIT = r"""
cd {units}
printf '[Unit]\nDescription=Hard limit\n[Service]\nType=oneshot\nExecStart=/usr/bin/systemctl poweroff\n' \
    > hard-limit.service
printf '[Unit]\nDescription=Hard limit\n[Timer]\nOnCalendar={at:%Y-%m-%d %H:%M:%S} UTC\nPersistent=true\n' \
    > hard-limit.timer
printf 'AccuracySec=1s\n[Install]\nWantedBy=timers.target\n' >> hard-limit.timer
systemctl daemon-reload
systemctl enable --now --no-block hard-limit.timer
"""


def user_data(*, user: str, public_key: str, host_private_key: str, host_public_key: str, deadline: datetime) -> str:
    """The text for a machine that powers off at the deadline whatever happens; the same for the same arguments.

    Its host key is the one given, so that it is known before the first contact. It can be read from the machine's
    metadata as long as that lives: the client replaces it once it has logged in. Nothing else in here is secret.
    """
    config = {
        "user": {"name": user},
        "ssh_authorized_keys": [public_key.strip()],
        "ssh_pwauth": False,
        "disable_root": True,
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_private_key, "ed25519_public": host_public_key.strip()},
        "package_update": False,
        "package_upgrade": False,
        "bootcmd": [
            ["cloud-init-per", "instance", "hard-limit", "sh", "-c", hard_limit(deadline)],
            ["systemctl", "mask", "--now", "--no-block", *UPGRADES],
        ],
        "runcmd": [["sh", "-c", outer_limit(deadline)]],
    }
    text = "#cloud-config\n" + json.dumps(config, indent=1) + "\n"  # JSON is YAML
    assert len(text.encode()) < LIMIT_BYTES
    return text


def hard_limit(deadline: datetime, units: str = UNITS) -> str:
    """The shell script that sets a systemd timer to power off at the deadline."""
    return HARD_LIMIT.format(at=deadline.astimezone(UTC), units=units)


def outer_limit(deadline: datetime) -> str:
    """The shell script for the case that the timer did not come up.

    It runs late in the boot, since shutdown needs logind. Five minutes ahead it closes the door to new logins, and a
    reboot forgets it: so it is not the limit itself.
    """
    at = int((deadline + OUTER_LIMIT).timestamp())
    return f"shutdown -h +$(( ({at} - $(date +%s)) / 60 ))"
