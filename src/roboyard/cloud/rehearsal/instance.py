"""One rehearsed instance: the real user data in a process group, with stand-ins for commands."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from roboyard.cloud.rehearsal.metadata_service import MetadataService
from roboyard.runs.preemption import ENDPOINT_VARIABLE

_DOCKER = """#!/bin/bash
# Runs the image's program here; refuses what docker would refuse.
verb=$1; shift
case $verb in
  login) cat >/dev/null ;;
  pull) [[ $1 == *@sha256:* ]] || { echo "not by digest: $1" >&2; exit 1; } ;;
  run)
    while [[ $1 == --* ]]; do
      case $1 in
        --rm) shift ;;
        --network|--shm-size|--stop-timeout|--env) shift 2 ;;
        *) echo "unknown flag: $1" >&2; exit 125 ;;
      esac
    done
    shift # the image
    exec "$ROBOYARD_PYTHON" -m roboyard "$@" ;;
  *) echo "unknown command: $verb" >&2; exit 125 ;;
esac
"""
_STAND_INS = {
    "docker": _DOCKER,
    "aws": "#!/bin/bash\necho rehearsed-password\n",
    "shutdown": "#!/bin/bash\nexit 0\n",
    "systemd-run": "#!/bin/bash\nexit 0\n",
}


class RehearsedInstance:
    """An instance as a group of processes."""

    def __init__(
        self, instance_id: str, script: str, folder: Path, environment: Mapping[str, str]
    ) -> None:
        """Start it.

        Args:
            instance_id: Its id.
            script: Its user data.
            folder: Its disk.
            environment: Endpoint and credentials of the emulated AWS.
        """
        self.instance_id = instance_id
        self.folder = folder
        commands = folder / "bin"
        commands.mkdir(parents=True)
        for name, text in _STAND_INS.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        (folder / "user_data.sh").write_text(script)
        self._metadata = MetadataService(instance_id)
        self._metadata.__enter__()
        with (folder / "console.log").open("wb") as console:
            self._process = subprocess.Popen(
                ["bash", "user_data.sh"],
                cwd=folder,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    **environment,
                    "PATH": f"{commands}:{os.environ['PATH']}",
                    "ROBOYARD_PYTHON": sys.executable,
                    "ROBOYARD_CACHE": str(folder / "cache"),
                    ENDPOINT_VARIABLE: self._metadata.url,
                },
            )

    @property
    def is_running(self) -> bool:
        """Whether its user data is still being run."""
        return self._process.poll() is None

    @property
    def step(self) -> int:
        """Step of the newest row of metrics that its run has written here; -1 before the first."""
        rows = [row for path in self.folder.glob("cache/**/metrics.jsonl") for row in _rows(path)]
        return max((_step(row) for row in rows), default=-1)

    def announce(self, seconds: float) -> None:
        """Give notice of an interruption."""
        self._metadata.interrupt(seconds)

    def wait(self, seconds: float) -> bool:
        """Wait until it ends by itself; return whether it did."""
        deadline = time.monotonic() + seconds
        while self.is_running and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.is_running

    def kill(self) -> None:
        """End it as EC2 does at last: every process at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._metadata.__exit__()

    def console(self) -> str:
        """Return what it has printed."""
        return (self.folder / "console.log").read_text(errors="replace")


def _step(row: dict[str, object]) -> int:
    step = row.get("step")
    return step if isinstance(step, int) else -1


def _rows(path: Path) -> list[dict[str, object]]:
    rows = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue  # being written
    return rows
