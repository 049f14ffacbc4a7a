"""A run on a rehearsed fleet that is interrupted, and what came of it."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import json
import logging
import random
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from roboyard import __version__
from roboyard.cloud.layout import SUBMISSION_TAG, SubmissionPlaces
from roboyard.cloud.rehearsal.fleet import RehearsedFleet
from roboyard.cloud.session import AwsSession
from roboyard.cloud.submission import Submission
from roboyard.cloud.user_data import user_data
from roboyard.config.load import to_yaml
from roboyard.config.schema import ExperimentConfig, PreemptionConfig
from roboyard.errors import CloudError
from roboyard.optional import require
from roboyard.runs.index import find_run
from roboyard.runs.variables import variables_set
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError

_IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/roboyard@sha256:" + "0" * 64
_REGION = "us-east-1"
_POLL_S = 0.2
_RUN_ID = "run"


@dataclasses.dataclass(frozen=True)
class Interruption:
    """One interruption of the instance that drives the run."""

    notice_s: float | None
    """Seconds between notice and end; None is no notice."""
    step: int
    """Last step that was seen before."""
    repeated: int
    """Steps since the newest checkpoint, which are done again."""
    away_s: float
    """Time until the next instance had done a new step [s]."""


@dataclasses.dataclass
class Rehearsal:
    """What came of it."""

    interruptions: list[Interruption]
    results: list[dict[str, Any]]
    """Content of every result object."""
    instances: int
    """Instances in all."""
    instances_left: int
    is_cancelled: bool
    hours: float
    """Time of all instances together [h]."""
    console: str
    """What the last instance printed."""

    @property
    def is_good(self) -> bool:
        """Whether it ended as it must."""
        return len(self.results) == 1 and self.instances_left == 0 and self.is_cancelled

    def summary(self) -> str:
        """Return its last line."""
        warned = [it.repeated for it in self.interruptions if it.notice_s is not None]
        sudden = [it.repeated for it in self.interruptions if it.notice_s is None]
        away = [it.away_s for it in self.interruptions]
        return (
            f"runs done: {len(self.results)} of 1; interruptions: {len(self.interruptions)}; "
            f"steps repeated with notice: {_mean(warned)}, without: {_mean(sudden)}; "
            f"back after {_mean(away, 's')}; instances: {self.instances}, left: "
            f"{self.instances_left}; fleet {'' if self.is_cancelled else 'NOT '}cancelled; "
            f"instance hours: {self.hours:.3f}"
        )


def rehearse(
    config: ExperimentConfig,
    folder: Path,
    *,
    notices: tuple[float | None, ...] = (20.0, None),
    every_s: float = 10.0,
    seed: int = 0,
    limit_s: float = 600.0,
    tell: Callable[[str], None] = lambda text: None,
) -> Rehearsal:
    """Train a config on a rehearsed fleet of one instance that is interrupted.

    Args:
        config: What to train.
        folder: Where the instances' disks are.
        notices: One value an interruption: seconds of notice, or None for none.
        every_s: Mean time of training between two interruptions [s].
        seed: Seed of the moments.
        limit_s: Time after which it is given up [s].
        tell: Told each event in a line.

    Raises:
        CloudError: It took too long.
        MissingDependencyError: The emulator or boto3 is not installed.
    """
    with _emulated() as (session, environment):
        layout = SubmissionPlaces("roboyard-rehearsal", config.name)
        _submit(session, layout, config)
        fleet = RehearsedFleet(session, layout, folder, environment)
        moments = _Moments(notices, every_s, random.Random(seed))
        director = _Director(fleet, layout, moments, tell)
        try:
            director.run(time.monotonic() + limit_s)
            return _outcome(session, layout, fleet, director)
        finally:
            fleet.close()


class _Moments:
    """When to interrupt, and with how much notice."""

    def __init__(
        self, notices: tuple[float | None, ...], every_s: float, generator: random.Random
    ) -> None:
        self.due = list(notices)
        self._every_s, self._generator = every_s, generator

    def pause(self) -> float:
        """Return the time of training until the next one [s]."""
        return self._generator.uniform(0.5, 1.5) * self._every_s


class _Director:
    """Lets a fleet run, and interrupts it."""

    def __init__(
        self,
        fleet: RehearsedFleet,
        layout: SubmissionPlaces,
        moments: _Moments,
        tell: Callable[[str], None],
    ) -> None:
        self._fleet, self._layout, self._tell = fleet, layout, tell
        self._moments = moments
        self.interruptions: list[Interruption] = []
        self.seconds = 0.0
        self._lost: tuple[float | None, int, int, float] | None = None

    def run(self, deadline: float) -> None:
        """Go on until the fleet is cancelled and nothing runs."""
        pause, began = self._moments.pause(), time.monotonic()
        while True:
            self._fleet.reconcile()
            if not self._fleet.running and self._fleet.is_cancelled:
                return
            now = time.monotonic()
            if now > deadline:
                raise CloudError("the rehearsal was given up: it took longer than its limit.")
            step = max((it.step for it in self._fleet.running.values()), default=-1)
            self._see(step)
            if self._lost is not None or step < 0:
                began = now  # the time that counts is that of training
            elif self._moments.due and now - began > pause:
                self._interrupt(self._moments.due.pop(0))
                pause, began = self._moments.pause(), time.monotonic()
            time.sleep(_POLL_S)
            self.seconds += (time.monotonic() - now) * len(self._fleet.running)

    def _interrupt(self, notice_s: float | None) -> None:
        instance_id, instance = next(iter(self._fleet.running.items()))
        if notice_s is not None:
            self._tell(f"{instance_id}: notice of {notice_s:g} s at step {instance.step}")
            instance.announce(notice_s)
            instance.wait(notice_s)
        step = instance.step
        self._fleet.end(instance_id)
        kept = max(self._checkpoints(), default=0)
        self._tell(f"{instance_id}: gone at step {step}; the newest checkpoint is at {kept}")
        self._lost = (notice_s, step, kept, time.monotonic())

    def _see(self, step: int) -> None:
        """Note that the run has gone on beyond the step at which it was lost."""
        if self._lost is None:
            return
        notice_s, lost, kept, moment = self._lost
        if step > lost or self._fleet.is_cancelled:
            away = time.monotonic() - moment
            done = Interruption(notice_s, lost, max(0, lost - kept), away)
            self.interruptions.append(done)
            self._lost = None

    def _checkpoints(self) -> tuple[int, ...]:
        try:
            return find_run(open_store(f"{self._layout.uri}/{_RUN_ID}")).checkpoints
        except NotFoundError:
            return ()


def _outcome(
    session: AwsSession, layout: SubmissionPlaces, fleet: RehearsedFleet, director: _Director
) -> Rehearsal:
    store = open_store(f"s3://{layout.bucket}")
    results = [
        json.loads(store.get(info.key).data) for info in store.list(f"results/{layout.name}")
    ]
    last = fleet.ended[fleet.launched[-1]]
    left = len(fleet.instances())
    hours = director.seconds / 3600.0
    return Rehearsal(
        director.interruptions,
        results,
        len(fleet.launched),
        left,
        fleet.is_cancelled,
        hours,
        last.console(),
    )


def _submit(session: AwsSession, layout: SubmissionPlaces, config: ExperimentConfig) -> None:
    """Do what a submission does: the record, a launch template, and the fleet."""
    changes = {
        "store": layout.store,
        "preemption": PreemptionConfig(watch=("imds",), poll_seconds=1.0),
    }
    submission = Submission(
        name=layout.name,
        kind="train",
        bucket=layout.bucket,
        image=_IMAGE,
        version=__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        config=to_yaml(config.model_copy(update=changes)),
        run_id=_RUN_ID,
    )
    session.client("s3").create_bucket(Bucket=layout.bucket)
    store = open_store(f"s3://{layout.bucket}")
    store.put(layout.submission_key, submission.to_json().encode(), if_absent=True)
    ec2 = session.client("ec2")
    tags = [{"Key": SUBMISSION_TAG, "Value": layout.name}]
    script = base64.b64encode(user_data(submission, session.region).encode()).decode()
    image = ec2.describe_images()["Images"][0]["ImageId"]
    template = ec2.create_launch_template(
        LaunchTemplateName=layout.template,
        LaunchTemplateData={
            "ImageId": image,
            "InstanceType": "c7a.large",
            "UserData": script,
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
        },
    )["LaunchTemplate"]
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    ec2.request_spot_fleet(
        SpotFleetRequestConfig={
            "IamFleetRole": "arn:aws:iam::123456789012:role/rehearsed",
            "TargetCapacity": 1,
            "Type": "maintain",
            "AllocationStrategy": "priceCapacityOptimized",
            "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": tags}],
            "LaunchTemplateConfigs": [
                {
                    "LaunchTemplateSpecification": {
                        "LaunchTemplateId": template["LaunchTemplateId"],
                        "Version": "1",
                    },
                    "Overrides": [
                        {"InstanceType": kind, "SubnetId": subnet, "WeightedCapacity": 1.0}
                        for kind in ("c7a.large",)
                    ],
                }
            ],
        }
    )


@contextlib.contextmanager
def _emulated() -> Iterator[tuple[AwsSession, Mapping[str, str]]]:
    """Yield a session with an AWS on this machine, and the environment that leads to it."""
    moto: Any = require("moto.server", "rehearsal")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it prints every request
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # What an earlier rehearsal of this process left is still there.
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_EC2_METADATA_DISABLED": "true",  # for boto3: credentials come from here
    }
    try:
        with variables_set({**environment, "AWS_PROFILE": None}):
            yield AwsSession(), environment
    finally:
        server.stop()


def _mean(values: list[int] | list[float], unit: str = "") -> str:
    return f"{sum(values) / len(values):.1f}{unit and ' ' + unit}" if values else "-"
