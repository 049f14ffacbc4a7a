"""``roboyard serve`` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

_PROGRAM = "from roboyard.cli import main; main()"


class ServerProcess:
    """A running server; its address is known once this returns."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        program: str | None = None,
    ) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        begin = (program,) if program else (_PROGRAM, "serve", "--port", "0")
        self.process = subprocess.Popen(
            [sys.executable, "-c", *begin, *arguments],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            self.close()
            raise AssertionError(f"the server did not start: {self.text}")

    @property
    def text(self) -> str:
        """Return the log so far."""
        if self._log.closed:
            return self._text
        self._log.flush()
        self._log.seek(0)
        return self._log.read()

    def log(self, message: str) -> list[dict[str, object]]:
        """Return the log lines with this message."""
        lines = [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == message]

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Return the exit code."""
        return self.process.wait(30)

    def close(self) -> None:
        """End the server for good."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if not self._log.closed:
            self._text = self.text
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
