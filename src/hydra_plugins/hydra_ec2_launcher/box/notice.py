"""The cloud's announcement that it takes a spot machine back, some two minutes ahead (EC2 metadata, version 2)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT_S = 2.0
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # metadata is link-local: no proxy knows it


def ask_notice(imds: str) -> dict[str, Any] | None:
    """The announcement as {"action": ..., "time": ...}, None where there is none; OSError or ValueError without an answer."""
    token = _fetch(f"{imds}/latest/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    try:
        headers = {"X-aws-ec2-metadata-token": token.decode()}
        notice = json.loads(_fetch(f"{imds}/latest/meta-data/spot/instance-action", "GET", headers))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise
    return notice if isinstance(notice, dict) else None


def _fetch(url: str, method: str, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(url, method=method, headers=headers)
    with _DIRECTLY.open(request, timeout=_TIMEOUT_S) as response:
        body: bytes = response.read(65536)
        return body
