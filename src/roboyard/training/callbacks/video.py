"""A video of the deterministic policy every so often."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from roboyard.errors import RoboyardError
from roboyard.evaluation.stopping import StoppedError
from roboyard.storage.leases.lease import LeaseLostError
from roboyard.training.callbacks.base import Boundary, Every, RunCallback
from roboyard.training.live_policy import LivePolicy
from roboyard.training.seeding import preserved_generators

_LOG = logging.getLogger(__name__)


class VideoCallback(RunCallback):
    """Records a video on an environment of its own; training does not notice."""

    def __init__(
        self, record: Callable[[LivePolicy, Path], object], folder: Path, every_steps: int
    ) -> None:
        """Record into ``folder``.

        Args:
            record: Records a policy into a file.
            folder: Where the videos go, named after their step.
            every_steps: Control steps between videos.
        """
        super().__init__()
        self._record = record
        self._folder = folder
        self._every = Every(every_steps)

    def on_boundary(self, boundary: Boundary) -> None:
        """Record if it is due; a failure is a warning, not the end of the run."""
        before = self._every.last
        if not self._every.due(boundary):
            return
        path = self._folder / f"step-{boundary.step:012d}.mp4"
        try:
            with preserved_generators():
                self._record(LivePolicy(self.model), path)
        except LeaseLostError:
            raise
        except StoppedError as error:
            self._every.last = before  # due again at the next boundary
            _LOG.warning("no video at step %d: %s", boundary.step, error)
        except RoboyardError as error:
            _LOG.warning("no video at step %d: %s", boundary.step, error)

    def state(self) -> Mapping[str, JsonValue]:
        """Return when a video was last due."""
        return {"last": self._every.last}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on counting from there."""
        self._every.last = state["last"]
