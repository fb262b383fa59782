"""The machine's host key: the one that it was started with gives way to one that nobody could read."""

import time
from collections.abc import Callable, Sequence

from hydra_plugins.hydra_ec2_launcher.wire.keys import public_key
from hydra_plugins.hydra_ec2_launcher.wire.ssh import SshTransport
from hydra_plugins.hydra_ec2_launcher.wire.transport import HostKeyError

_RELOAD_S = 15.0


def rotate_host_key(
    transport: SshTransport,
    *,
    remember: Callable[[str], None],
    host_key: str = "/etc/ssh/ssh_host_ed25519_key",
    reload: Sequence[str] = ("systemctl", "reload", "ssh"),
    as_root: Sequence[str] = ("sudo", "-n"),
) -> str:
    """Have the machine make itself a new host key, and accept that one alone from now on; returns its public half.

    The first key travelled in user data, which others may read. `remember` is told the new one before it takes effect:
    a client that dies in between must accept either.

    Raises:
        RemoteCommandError: the machine did not let us.
        HostKeyError: the machine kept showing its first key.
    """
    fresh, first = f"{host_key}.new", transport.host_public_keys
    transport.run([*as_root, "rm", "-f", fresh, f"{fresh}.pub"])
    transport.run([*as_root, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", fresh])
    public = public_key(transport.run([*as_root, "cat", f"{fresh}.pub"]).decode())
    remember(public)
    transport.pin(*first, public)
    transport.run([*as_root, "mv", f"{fresh}.pub", f"{host_key}.pub"])
    transport.run([*as_root, "mv", fresh, host_key])
    transport.run([*as_root, *reload])
    transport.close()
    transport.pin(public)
    deadline = time.monotonic() + _RELOAD_S
    while True:
        try:
            transport.wait_until_reachable(_RELOAD_S)
            return public
        except HostKeyError:  # the server may not have reloaded yet; it is told nothing until it shows the new key
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
