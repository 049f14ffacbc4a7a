"""What an EC2 instance is told about itself (IMDSv2)."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

from roboyard.errors import CloudError
from roboyard.runs.preemption import ENDPOINT_VARIABLE

_ENDPOINT = "http://169.254.169.254"
_TIMEOUT_S = 2.0


def instance_id() -> str:
    """Return this instance's id.

    Raises:
        CloudError: This is no EC2 instance, or its metadata service is off.
    """
    endpoint = os.environ.get(ENDPOINT_VARIABLE, _ENDPOINT).rstrip("/")
    try:
        lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = _ask("PUT", f"{endpoint}/latest/api/token", lifetime)
        return _ask(
            "GET", f"{endpoint}/latest/meta-data/instance-id", {"X-aws-ec2-metadata-token": token}
        )
    except (urllib.error.URLError, OSError) as error:
        raise CloudError(
            f"the instance metadata service does not answer ({error}): the agent runs on EC2 "
            "instances, started by the user data of a fleet."
        ) from None


def _ask(method: str, url: str, headers: dict[str, str]) -> str:
    request = urllib.request.Request(url, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        return str(answer.read().decode("utf-8")).strip()
