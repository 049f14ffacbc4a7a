"""Machines for a submission: AWS calls Spot Fleet legacy, so that all of it is behind this."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from roboyard.cloud.layout import SUBMISSION_TAG
from roboyard.cloud.session import AwsSession, asking
from roboyard.errors import CloudError

_ALIVE = ("submitted", "active", "modifying")


class Fleet(NamedTuple):
    """A request for machines that AWS keeps fulfilled."""

    request_id: str
    state: str
    target: int

    @property
    def is_alive(self) -> bool:
        """Whether it may still start machines."""
        return self.state in _ALIVE


class CapacityProvider(Protocol):
    """What asks AWS for the machines of a submission."""

    def fleets(self, submission: str) -> list[Fleet]:
        """Return a submission's requests, ended ones included as far as AWS tells them."""

    def cancel(self, request_id: str) -> None:
        """End a request and its machines; one that has ended is left alone."""


class SpotFleetCapacity:
    """EC2 Spot Fleet."""

    def __init__(self, session: AwsSession) -> None:
        """Use a session's account and region."""
        self._ec2 = session.client("ec2")

    def fleets(self, submission: str) -> list[Fleet]:
        """Return a submission's requests.

        Raises:
            CloudError: AWS refused.
        """
        found = []
        with asking("looking for the fleet"):
            for page in self._ec2.get_paginator("describe_spot_fleet_requests").paginate():
                for told in page["SpotFleetRequestConfigs"]:
                    tags = {tag["Key"]: tag["Value"] for tag in told.get("Tags", [])}
                    if tags.get(SUBMISSION_TAG) == submission:
                        target = told["SpotFleetRequestConfig"]["TargetCapacity"]
                        state = told["SpotFleetRequestState"]
                        found.append(Fleet(told["SpotFleetRequestId"], state, target))
        return found

    def cancel(self, request_id: str) -> None:
        """End a request and its machines.

        Raises:
            CloudError: AWS refused.
        """
        with asking(f"cancelling fleet {request_id}"):
            answer = self._ec2.cancel_spot_fleet_requests(
                SpotFleetRequestIds=[request_id], TerminateInstances=True
            )
        for refused in answer.get("UnsuccessfulFleetRequests", []):
            code = refused.get("Error", {}).get("Code", "?")
            if code not in ("fleetRequestNotInCancellableState", "fleetRequestIdDoesNotExist"):
                raise CloudError(
                    f"fleet {request_id} was not cancelled ({code}): cancel it in the EC2 console."
                )
