"""Which process this is, so that another one can tell whether it still lives."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Holder:
    """One process on one machine."""

    host: str
    """The machine's name, for people."""
    pid: int
    """Process id, for people and for :meth:`is_dead`."""
    realm: str = ""
    """Boot and process namespace in which ``pid`` means something; empty where unknown."""
    started: str = ""
    """When the process started, in the kernel's ticks; tells it from a later one with its id."""

    @classmethod
    def this_process(cls) -> Holder:
        """Describe the calling process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _realm(), _start_ticks(pid))

    def is_dead(self) -> bool:
        """Return whether the process is known to have ended.

        Only a process of the same boot and the same process namespace can be judged: two
        containers may share the machine's name and even their process ids.
        """
        if not self.realm or self.realm != _realm():
            return False
        ticks = _start_ticks(self.pid)
        if not ticks and is_hidden(self.pid):
            return False  # somebody lives there, and may be the one
        return ticks != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on '{self.host}'"


def _realm() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return ""


def is_hidden(pid: int) -> bool:
    """Return whether a process exists that ``/proc`` does not show, as another user's may be."""
    if Path(f"/proc/{pid}/stat").exists():
        return False  # it can be judged, also as a zombie
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _start_ticks(pid: int) -> str:
    """Return the kernel's start time of a process, or ``""`` if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    state, start = fields[0], fields[19]
    return "" if state in "ZX" else start
