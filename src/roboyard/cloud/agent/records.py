"""What an instance leaves in the bucket: its heartbeat, its log, and the result of a run."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

from roboyard.cloud.layout import SubmissionPlaces
from roboyard.errors import StorageError
from roboyard.storage.base import Store
from roboyard.storage.mirror.publish import publish_once

WEIGHTS = "policy.safetensors"


class NodeReport:
    """Heartbeat and log of one instance; a store that stumbles never stops its work."""

    def __init__(
        self,
        store: Store,
        layout: SubmissionPlaces,
        instance: str,
        log: Path,
        every_s: float = 30.0,
    ) -> None:
        """Prepare; the first report is sent by ``with``.

        Args:
            store: The bucket.
            layout: Where things are in it.
            instance: This instance.
            log: File that is uploaded.
            every_s: Time between two reports [s].
        """
        self._store, self._layout, self._instance = store, layout, instance
        self._log, self._every_s = log, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True, name="heartbeat")
        self._facts: dict[str, Any] = {"instance": instance, "started": time.time()}

    def __enter__(self) -> NodeReport:
        """Send the first report and go on in the background."""
        self.tell(state="running")
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop; the last report is the one that says how it ended."""
        self._ended.set()
        self._thread.join(timeout=10.0)

    def tell(self, **facts: object) -> None:
        """Send a report with new facts, and the log."""
        self._facts |= {**facts, "seen": time.time()}
        try:
            text = json.dumps(self._facts, sort_keys=True)
            self._store.put(self._layout.node_key(self._instance), text.encode())
            if self._log.exists():
                self._store.put(f"{self._layout.log_prefix(self._instance)}agent.log", self._log)
        except StorageError as error:
            print(f"warning: no report was sent: {error}", flush=True)

    def _repeat(self) -> None:
        while not self._ended.wait(self._every_s):
            self.tell()


def publish_result(store: Store, layout: SubmissionPlaces, run_id: str, step: int) -> bool:
    """Publish what a finished run came to; whoever repeats it publishes the same.

    Args:
        store: The bucket.
        layout: Where things are in it.
        run_id: The run.
        step: Control steps it has done.

    Returns:
        Whether it was not there before.

    Raises:
        AlreadyExistsError: Another result stands there.
        StorageError: The bucket cannot be used.
    """
    bundle = f"runs/{layout.name}/{run_id}/policy/last.zip"
    with zipfile.ZipFile(BytesIO(store.get(bundle).data)) as content:
        weights = hashlib.sha256(content.read(WEIGHTS)).hexdigest()
    result = {"run_id": run_id, "step": step, "policy": bundle, "weights_sha256": weights}
    text = json.dumps(result, indent=2, sort_keys=True)
    return publish_once(store, layout.result_key(run_id), text.encode()).new
