"""Killing a run at random moments, to see that it ends as if it had not been killed."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import ConfigError, TrainingError
from roboyard.storage.run_directory import RunDirectory
from roboyard.training.checkpoint import newest_step
from roboyard.training.manifest import read_manifest
from roboyard.training.signals import EXIT_CONTINUE
from roboyard.training.supervisor import Child

_SCHEDULE = re.compile(r"^(poisson|every):(\d+(?:\.\d+)?)(s|m)?$")
_POLL_S = 0.02
_TERM_S = 60.0
_WEIGHTS = ("policy.safetensors", "tensors.safetensors", "optimizers.pt", "generators.json")
_OF_THE_CLOCK = ("time", "system/", "checkpoint/", "wall_s")


@dataclasses.dataclass(frozen=True)
class Kills:
    """When processes are killed, counted from each one's first step."""

    kind: str
    """``poisson`` or ``every``."""
    mean_s: float
    """Mean time to a kill [s]."""
    most: int = 10
    """After so many, the run is left in peace."""
    seed: int = 0
    """Seed of the moments and the signals."""
    term_share: float = 0.25
    """How many of the kills are SIGTERM; the others are SIGKILL to the whole process group."""

    @classmethod
    def parse(cls, text: str, **others: object) -> Kills:
        """Parse ``poisson:5s``, ``every:30s`` or ``poisson:2m``.

        Raises:
            ConfigError: It is something else.
        """
        match = _SCHEDULE.match(text)
        if match is None or float(match[2]) == 0:
            raise ConfigError(
                f"--kills '{text}' is not understood. Give the mean time between kills, such as "
                "poisson:5s, or a fixed one, such as every:30s."
            )
        seconds = float(match[2]) * (60 if match[3] == "m" else 1)
        return cls(match[1], seconds, **others)  # type: ignore[arg-type]

    def draw(self, generator: random.Random) -> tuple[float, int]:
        """Return the time to the next kill [s] and its signal."""
        is_term = generator.random() < self.term_share
        gap = generator.expovariate(1 / self.mean_s) if self.kind == "poisson" else self.mean_s
        return gap, signal.SIGTERM if is_term else signal.SIGKILL


class Life(NamedTuple):
    """One process of a run."""

    code: int
    """Exit code, negative for a signal."""
    step: int
    """The last step that it made; -1 if there was none."""
    seconds: float
    """How long it lived [s]."""
    bytes: int
    """What it wrote to files and pipes [bytes]."""
    signal: int | None = None
    """What it was killed with."""


class ChaosReport(NamedTuple):
    """What the kills cost, and whether the run ended as it should."""

    kills: int
    terms: int
    steps: int
    """Steps of the run."""
    steps_repeated: int
    """Steps that were done again."""
    whole_s: float
    """Time of the run that nobody killed [s]."""
    killed_s: float
    """Time of the killed run, with every start [s]."""
    whole_bytes: int
    killed_bytes: int
    same_weights: bool
    """Whether weights, optimisers and generators are the same, bit for bit."""
    same_records: bool
    """Whether metrics and evaluations are the same, except for what tells the time."""

    @property
    def lost_s(self) -> float:
        """Time that the kills cost [s]."""
        return self.killed_s - self.whole_s

    @property
    def is_identical(self) -> bool:
        """Whether the killed run is the run that nobody killed."""
        return self.same_weights and self.same_records


Command = Callable[[str, bool], Sequence[str]]
"""Returns the command that starts (False) or continues (True) the run of a name."""


def run_chaos(
    command: Command,
    folder: Path,
    kills: Kills,
    tell: Callable[[str], None] = lambda text: None,
) -> ChaosReport:
    """Train a config twice, once in peace, and compare.

    Args:
        command: Makes commands for the runs ``whole`` and ``killed``.
        folder: Where these two runs' folders appear.
        kills: When to kill.
        tell: Is told what happens.

    Raises:
        TrainingError: A process failed by itself.
    """
    tell("training in peace")
    whole = _live(command("whole", False), None)
    _expect(whole, {0})
    lives, repeated = _killed_lives(command, folder / "killed", kills, tell)
    runs = RunDirectory(folder / "whole"), RunDirectory(folder / "killed")
    deaths = [life.signal for life in lives if life.signal is not None]
    return ChaosReport(
        kills=deaths.count(signal.SIGKILL),
        terms=deaths.count(signal.SIGTERM),
        steps=runs[0].read_status().step,
        steps_repeated=repeated,
        whole_s=whole.seconds,
        killed_s=sum(life.seconds for life in lives),
        whole_bytes=whole.bytes,
        killed_bytes=sum(life.bytes for life in lives),
        same_weights=_weights(runs[0]) == _weights(runs[1]),
        same_records=_records(runs[0]) == _records(runs[1]),
    )


def _killed_lives(
    command: Command, run: Path, kills: Kills, tell: Callable[[str], None]
) -> tuple[list[Life], int]:
    generator = random.Random(kills.seed)
    lives: list[Life] = []
    repeated = 0
    while not lives or lives[-1].code != 0:
        death = kills.draw(generator) if len(lives) < kills.most else None
        life = _live(command("killed", (run / "config.yaml").exists()), death)
        lives.append(life)
        if life.signal is None:
            _expect(life, {0})
            continue
        kept = newest_step(run / "checkpoints") or 0
        repeated += max(0, life.step - kept)
        name = signal.Signals(life.signal).name
        tell(f"{name} at step {max(life.step, 0):,}; the checkpoint of step {kept:,} stands")
    return lives, repeated


def _live(command: Sequence[str], death: tuple[float, int] | None) -> Life:
    """Run a process until it ends or its time has come."""
    started = time.monotonic()
    with Child(command, silent=True) as child:
        first: float | None = None
        written, killed_with, deadline = 0, None, float("inf")
        while child.process.poll() is None:
            time.sleep(_POLL_S)
            written = _bytes_written(child.process.pid) or written
            now = time.monotonic()
            if first is None and child.step >= 0:
                first = now
            if death is not None and killed_with is None and first and now - first > death[0]:
                killed_with, deadline = death[1], now + _TERM_S
                child.kill() if killed_with == signal.SIGKILL else child.signal(killed_with)
            if now > deadline:
                child.kill()
        code, step = child.process.returncode, child.step
    is_death = killed_with is not None and code != 0
    if is_death:
        _expect(Life(code, step, 0, 0), {EXIT_CONTINUE, -signal.SIGKILL, -signal.SIGTERM})
    seconds = time.monotonic() - started
    return Life(code, step, seconds, written, killed_with if is_death else None)


def _expect(life: Life, codes: set[int]) -> None:
    if life.code not in codes:
        raise TrainingError(
            f"a process ended by itself with exit code {life.code} at step {life.step}; "
            "its own message stands above."
        )


def _bytes_written(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))
    except (OSError, StopIteration):
        return 0


def _weights(run: RunDirectory) -> dict[str, object]:
    step = newest_step(run.checkpoints)
    if step is None:
        return {}
    manifest = read_manifest(run.checkpoints / f"{step:012d}")
    parts = {name: manifest.files[name].sha256 for name in _WEIGHTS if name in manifest.files}
    return {"step": step, **parts}


def _records(run: RunDirectory) -> list[dict[str, object]]:
    rows = []
    for path in (run.metrics_file, run.evaluations_file):
        lines = path.read_text().splitlines() if path.exists() else []
        for row in map(json.loads, lines):
            rows.append({k: v for k, v in row.items() if not k.startswith(_OF_THE_CLOCK)})
    return rows
