"""What happens to a run, and when."""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Literal, NamedTuple, get_args

from roboyard.errors import ConfigError
from roboyard.registry import suggest

FaultKind = Literal["kill", "term", "notice", "disk", "s3", "freeze", "corrupt"]
"""SIGKILL to the process group, SIGTERM, a notice of the metadata service and the end of the
machine some seconds later, a disk that is full from now on, a store that stumbles, SIGSTOP for
longer than the lease, SIGKILL and damage to the machine's own copy of a bucket's run."""

FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
_PATTERN = re.compile(r"^(poisson|every):(\d+(?:\.\d+)?)(s|m)?$")
_KILL_WEIGHT = 3
"""How much more frequent SIGKILL is than each other fault."""
_INSIDE_SHARE = 0.3
"""How many of the kills wait for a checkpoint write, to fall inside it."""


class Blow(NamedTuple):
    """One thing that happens to a process."""

    fault: FaultKind
    after_s: float
    """Time since the process's first step, or since the blow before [s]."""
    inside_write: bool = False
    """Whether to wait for the next checkpoint write."""

    @property
    def is_fatal(self) -> bool:
        """Whether the process is to end by it."""
        return self.fault != "s3"


@dataclasses.dataclass(frozen=True)
class FaultSchedule:
    """When something happens to processes, counted from each one's first step."""

    kind: str
    """``poisson`` or ``every``."""
    mean_s: float
    """Mean time to a blow [s]."""
    most: int = 10
    """After so many deaths, the run is left in peace."""
    seed: int = 0
    """Seed of the moments and the faults."""
    faults: tuple[FaultKind, ...] = ("kill", "term")
    """What may happen."""

    @classmethod
    def parse(
        cls, text: str, *, faults: str = "kill,term", most: int = 10, seed: int = 0
    ) -> FaultSchedule:
        """Parse ``poisson:5s``, ``every:30s`` or ``poisson:2m``, and ``kill,term,freeze``.

        Raises:
            ConfigError: One is something else; the message says what is allowed.
        """
        match = _PATTERN.match(text)
        if match is None or float(match[2]) == 0:
            raise ConfigError(
                f"--kills '{text}' is not understood. Give the mean time between kills, such as "
                "poisson:5s, or a fixed one, such as every:30s."
            )
        seconds = float(match[2]) * (60 if match[3] == "m" else 1)
        return cls(match[1], seconds, most, seed, _faults(faults))

    @property
    def settings(self) -> list[str]:
        """Settings by which a run gets on between two blows."""
        return [f"checkpoint.every_minutes={self.mean_s / 60 / 3:.6f}"]

    def draw(self, generator: random.Random) -> Blow:
        """Return what happens next."""
        weights = [_KILL_WEIGHT if fault == "kill" else 1 for fault in self.faults]
        (fault,) = generator.choices(self.faults, weights)
        inside = generator.random() < _INSIDE_SHARE
        gap = generator.expovariate(1 / self.mean_s) if self.kind == "poisson" else self.mean_s
        return Blow(fault, gap, inside and fault == "kill")


def _faults(text: str) -> tuple[FaultKind, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FAULTS:
            raise ConfigError(
                f"--faults '{text}': there is no fault '{name}'. Allowed: {', '.join(FAULTS)}."
                f"{suggest(name, FAULTS)}"
            )
    chosen = tuple(fault for fault in FAULTS if fault in names)
    if not chosen or chosen == ("s3",):
        raise ConfigError(
            f"--faults '{text}' never ends a process. Add one of: "
            f"{', '.join(fault for fault in FAULTS if fault != 's3')}."
        )
    return chosen
