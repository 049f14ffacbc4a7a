"""An agent that drives one run to its end: on whichever instance, however often they go away."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from roboyard.cloud.agent.records import NodeReport, publish_result
from roboyard.cloud.capacity import CapacityProvider
from roboyard.cloud.layout import SubmissionPlaces
from roboyard.cloud.submission import Submission
from roboyard.errors import CloudError
from roboyard.runs.index import RunSummary, find_run
from roboyard.runs.signals import EXIT_CONTINUE
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError, Store

_PROGRAM = (sys.executable, "-m", "roboyard")
_MOST_ERRORS = 3


@dataclasses.dataclass
class SingleAgent:
    """Drives the run of a submission of one run."""

    layout: SubmissionPlaces
    instance: str
    capacity: CapacityProvider
    folder: Path
    """Where the log and the config are written."""
    every_s: float = 30.0
    """Time between two heartbeats [s]."""
    pause_s: float = 20.0
    """Time before another attempt, after an error or while another instance drives the run [s]."""

    def __post_init__(self) -> None:
        """Prepare; nothing is started."""
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._log = self.folder / "agent.log"

    def run(self) -> int:
        """Drive the run until it has ended, or this instance is to go.

        Returns:
            0 if the run has finished and the fleet is cancelled, 75 if the instance is to go away,
            1 if the run cannot be finished: the fleet is then cancelled too.

        Raises:
            CloudError: The submission cannot be read.
            StorageError: The bucket cannot be used.
        """
        signal.signal(signal.SIGTERM, self._pass_on)
        store = open_store(f"s3://{self.layout.bucket}")
        submission = _submission(store, self.layout)
        with NodeReport(store, self.layout, self.instance, self._log, self.every_s) as report:
            code, reason = self._drive(submission)
            if code == 0:
                step = _summary(self.layout, submission).step
                publish_result(store, self.layout, submission.run_id, step)
            report.tell(state=_STATES.get(code, "failed"), reason=reason)
            if code != EXIT_CONTINUE:
                self._cancel_fleet()  # last, because it ends this instance
        return code

    def _drive(self, submission: Submission) -> tuple[int, str]:
        errors: list[int] = []
        while not self._stopped.is_set():
            before = _find(self.layout, submission)
            if before is not None and before.state == "finished":
                return 0, "finished"
            if before is not None and before.is_alive:
                self._stopped.wait(self.pause_s)  # another instance drives it, or has just died
                continue
            code = self._train(submission, before)
            if code in (0, EXIT_CONTINUE):
                if code == EXIT_CONTINUE:
                    return EXIT_CONTINUE, "interrupted with a checkpoint"
                continue
            errors.append(_step(_find(self.layout, submission)))
            if len(errors) >= _MOST_ERRORS or errors[-2:-1] == errors[-1:]:
                return 1, f"the run failed {len(errors)} times, the last with exit code {code}"
            self._stopped.wait(self.pause_s)
        return EXIT_CONTINUE, "stopped before the run began"

    def _train(self, submission: Submission, before: RunSummary | None) -> int:
        """Train in a child process until it ends; return its exit code."""
        if before is None:
            config = self.folder / "config.yaml"
            config.write_text(submission.config, encoding="utf-8")
            what = [str(config), "--run-id", submission.run_id]
        else:
            what = [f"{self.layout.uri}/{submission.run_id}", "--resume"]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [*_PROGRAM, "train", *what, "--quiet"], stdout=log, stderr=subprocess.STDOUT
            )
            return self._child.wait()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Hand SIGTERM to the child, which then writes a checkpoint."""
        del frame  # Unused.
        self._stopped.set()
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _cancel_fleet(self) -> None:
        """Cancel the fleet, patiently: instances that nobody needs are still paid for."""
        for attempt in range(6):
            try:
                for fleet in self.capacity.fleets(self.layout.name):
                    if fleet.is_alive:
                        self.capacity.cancel(fleet.request_id)
                return
            except CloudError as error:
                print(f"warning: {error}", flush=True)
                time.sleep(min(2.0**attempt, 30.0))


_STATES = {0: "finished", EXIT_CONTINUE: "interrupted"}


def _submission(store: Store, layout: SubmissionPlaces) -> Submission:
    try:
        text = store.get(layout.submission_key).data.decode("utf-8")
    except NotFoundError:
        raise CloudError(f"bucket '{layout.bucket}' holds no submission '{layout.name}'.") from None
    submission = Submission.from_json(text)
    if submission.kind != "train":
        raise CloudError(f"'{layout.name}' is a submission of kind '{submission.kind}', not train.")
    return submission


def _summary(layout: SubmissionPlaces, submission: Submission) -> RunSummary:
    return find_run(open_store(f"{layout.uri}/{submission.run_id}"))


def _find(layout: SubmissionPlaces, submission: Submission) -> RunSummary | None:
    """Return how the run is; None if it has not begun."""
    try:
        return _summary(layout, submission)
    except NotFoundError:
        return None


def _step(summary: RunSummary | None) -> int:
    return -1 if summary is None else summary.step
