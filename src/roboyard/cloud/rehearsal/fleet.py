"""A Spot Fleet on this machine, as AWS keeps one that maintains its target."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from roboyard.cloud.capacity import SpotFleetCapacity
from roboyard.cloud.layout import SUBMISSION_TAG, SubmissionPlaces
from roboyard.cloud.rehearsal.instance import RehearsedInstance
from roboyard.cloud.session import AwsSession


class RehearsedFleet:
    """Starts a process group for every instance, and another for each that goes, until cancelled.

    The emulator knows requests and instances; what it does not do (replacing instances, running
    them) is done here.
    """

    def __init__(
        self,
        session: AwsSession,
        layout: SubmissionPlaces,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        """Take a fleet over that has been requested.

        Args:
            session: Of the emulated AWS.
            layout: Names of whose fleet it is.
            folder: Where the instances' disks are.
            environment: What the instances need to reach the emulated AWS.
        """
        self._ec2 = session.client("ec2")
        self._capacity = SpotFleetCapacity(session)
        self._layout = layout
        self._folder, self._environment = folder, environment
        self.running: dict[str, RehearsedInstance] = {}
        self.launched: list[str] = []
        """Ids of all instances so far."""
        self.ended: dict[str, RehearsedInstance] = {}
        self._replacements: set[str] = set()

    @property
    def is_cancelled(self) -> bool:
        """Whether no request is alive."""
        return not any(fleet.is_alive for fleet in self._capacity.fleets(self._layout.name))

    def reconcile(self) -> None:
        """End what has ended, and start what is missing."""
        for instance_id, instance in list(self.running.items()):
            if not instance.is_running:
                self.end(instance_id)
        alive = [it for it in self._capacity.fleets(self._layout.name) if it.is_alive]
        if not alive:
            for instance_id in list(self.running):
                self.running[instance_id].wait(5.0)  # as an instance that is being shut down
                self.end(instance_id)
            return
        for instance_id in self.instances():
            if instance_id not in self.running and instance_id not in self.ended:
                self._start(instance_id)
        for _ in range(sum(it.target for it in alive) - len(self.running)):
            instance_id = self._launch()
            self._replacements.add(instance_id)
            self._start(instance_id)

    def end(self, instance_id: str) -> None:
        """End an instance at once."""
        instance = self.running.pop(instance_id)
        instance.kill()
        self.ended[instance_id] = instance
        # Instances that the emulator started itself end with their request: it cannot cancel one
        # of which none is left.
        if instance_id in self._replacements:
            self._ec2.terminate_instances(InstanceIds=[instance_id])

    def close(self) -> None:
        """End everything."""
        for instance_id in list(self.running):
            self.end(instance_id)

    def instances(self) -> list[str]:
        """Return the ids of a submission's instances that are not ended, as AWS tells them."""
        mine = {"Name": f"tag:{SUBMISSION_TAG}", "Values": [self._layout.name]}
        alive = {"Name": "instance-state-name", "Values": ["pending", "running"]}
        told = self._ec2.describe_instances(Filters=[mine, alive])
        found = [it for reserved in told["Reservations"] for it in reserved["Instances"]]
        return [it["InstanceId"] for it in found]

    def _launch(self) -> str:
        template = {"LaunchTemplateName": self._layout.template}
        told = self._ec2.run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1)
        return str(told["Instances"][0]["InstanceId"])

    def _start(self, instance_id: str) -> None:
        self.launched.append(instance_id)
        self.running[instance_id] = RehearsedInstance(
            instance_id, self._user_data(), self._folder / instance_id, self._environment
        )

    def _user_data(self) -> str:
        told = self._ec2.describe_launch_template_versions(
            LaunchTemplateName=self._layout.template, Versions=["$Latest"]
        )
        data = told["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"]
        return base64.b64decode(data).decode("utf-8")
