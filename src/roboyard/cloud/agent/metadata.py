"""What an EC2 instance is told about itself."""

from __future__ import annotations

from roboyard.errors import CloudError
from roboyard.runs.preemption import MetadataSource


def instance_id() -> str:
    """Return this instance's id.

    Raises:
        CloudError: This is no EC2 instance, or its metadata service is off.
    """
    try:
        found = MetadataSource().read("instance-id")
    except OSError as error:
        raise _no_instance(str(error)) from None
    if not found:
        raise _no_instance("it knows no id")
    return found.decode().strip()


def _no_instance(reason: str) -> CloudError:
    return CloudError(
        f"the instance metadata service does not answer ({reason}): the agent runs on EC2 "
        "instances, started by the user data of a fleet."
    )
