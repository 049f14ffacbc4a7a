"""Training a config twice, once in peace and once not."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import TrainingError
from roboyard.runs.index import RunSummary, find_run
from roboyard.runs.signals import EXIT_CONTINUE
from roboyard.runs.supervisor import Child
from roboyard.storage import open_store
from roboyard.storage.base import NotFoundError
from roboyard.testing.chaos.compare import Outcome
from roboyard.testing.chaos.frozen import Frozen
from roboyard.testing.chaos.machine import Machine
from roboyard.testing.chaos.schedule import Blow, FaultKind, FaultSchedule

_POLL_S = 0.02
_POLL_WRITE_S = 0.002
_LONGEST_WAIT_S = 30.0
"""For so long a kill waits for a checkpoint write [s]."""
_CODES: dict[FaultKind, set[int]] = {
    "kill": {-9},
    "term": {EXIT_CONTINUE, -15, -9},
    "notice": {EXIT_CONTINUE, -15, -9},
    "disk": {1, -9},
    "s3": {1},
    "freeze": {-signal.SIGSTOP},
    "corrupt": {-9},
}
"""Exit codes that a fault may lead to, besides 0."""


class Life(NamedTuple):
    """One process of a run."""

    code: int
    """Exit code, negative for a signal; that of SIGSTOP for one that is frozen."""
    step: int
    """The last step that it made; -1 if there was none."""
    seconds: float
    """How long it lived [s]."""
    bytes: int
    """What it wrote to files and pipes [bytes]."""
    faults: tuple[FaultKind, ...] = ()
    """What happened to it."""
    inside_write: bool = False
    """Whether it was killed inside a checkpoint write."""
    frozen: Frozen | None = None
    """The process, if it is frozen."""


class ChaosReport(NamedTuple):
    """What the faults cost, and whether the run ended as it should."""

    faults: dict[FaultKind, int]
    """How many of each kind there were."""
    inside_writes: int
    """How many of the kills fell inside a checkpoint write."""
    steps: int
    """Steps of the run."""
    steps_repeated: int
    """Steps that were done again."""
    whole_s: float
    """Time of the run that was left in peace [s]."""
    killed_s: float
    """Time of the other one, with every start [s]."""
    whole_bytes: int
    killed_bytes: int
    same_weights: bool
    """Whether weights, optimisers and generators are the same, bit for bit."""
    same_metrics: bool
    """Whether the metrics are the same, except for what tells the time."""
    same_evaluations: bool
    """Whether the evaluations are."""

    @property
    def lost_s(self) -> float:
        """Time that the faults cost [s]."""
        return self.killed_s - self.whole_s

    @property
    def is_identical(self) -> bool:
        """Whether the run is the one that was left in peace."""
        return self.same_weights and self.same_metrics and self.same_evaluations


Command = Callable[[str, str, bool], Sequence[str]]
"""Returns the command that starts (False) or continues (True) the run of a store and a name."""


def train_command(
    program: Sequence[str], config: Path, name: str, settings: Sequence[str]
) -> Command:
    """Return what makes the commands of an experiment's runs.

    Args:
        program: How to call ``roboyard``.
        config: The YAML file.
        name: The experiment's name.
        settings: What to change, as for ``--set``.
    """
    options = [text for setting in settings for text in ("--set", setting)]

    def command(store: str, run_id: str, resume: bool) -> list[str]:
        run = [f"{store}/{name}/{run_id}", "--resume"]
        new = [str(config), *options, "--set", f"store={store}", "--run-id", run_id]
        return [*program, "train", *(run if resume else new), "--quiet"]

    return command


def run_chaos(
    command: Command,
    name: str,
    machine: Machine,
    schedule: FaultSchedule,
    tell: Callable[[str], None] = lambda text: None,
) -> ChaosReport:
    """Train a config twice, once in peace, and compare.

    Args:
        command: Makes commands for the runs ``whole`` and ``killed``.
        name: The experiment's name.
        machine: Where processes run; it must be open.
        schedule: What happens when.
        tell: Is told what happens.

    Raises:
        TrainingError: A process failed by itself.
    """
    tell("training in peace")
    peace = str(machine.folder)
    place = machine.folder / name / "whole"
    whole = _live(command(peace, "whole", False), iter(()), machine, place)
    _expect(whole)
    lives, repeated = _killed_lives(command, name, machine, schedule, tell)
    outcomes = Outcome.of(str(place)), Outcome.of(machine.uri(name, "killed"))
    return ChaosReport(
        faults=dict(Counter(fault for life in lives for fault in life.faults)),
        inside_writes=sum(life.inside_write for life in lives),
        steps=find_run(open_store(str(place))).step,
        steps_repeated=repeated,
        whole_s=whole.seconds,
        killed_s=sum(life.seconds for life in lives),
        whole_bytes=whole.bytes,
        killed_bytes=sum(life.bytes for life in lives),
        same_weights=bool(outcomes[0].weights) and outcomes[0].weights == outcomes[1].weights,
        same_metrics=outcomes[0].metrics == outcomes[1].metrics,
        same_evaluations=outcomes[0].evaluations == outcomes[1].evaluations,
    )


def _killed_lives(
    command: Command,
    name: str,
    machine: Machine,
    schedule: FaultSchedule,
    tell: Callable[[str], None],
) -> tuple[list[Life], int]:
    generator = random.Random(schedule.seed)
    lives: list[Life] = []
    repeated = 0
    uri, frozen = machine.uri(name, "killed"), None
    while not lives or lives[-1].code != 0:
        blows = _blows(schedule, generator) if len(lives) < schedule.most else iter(())
        arguments = command(machine.store, "killed", _summary(uri) is not None)
        folder = machine.work_folder(name, "killed")
        life = _live(arguments, blows, machine, folder, frozen)
        lives.append(life)
        _expect(life, is_locked_out=frozen is not None and life.step < 0)
        machine.replace(folder)
        frozen = life.frozen
        if frozen is not None:
            frozen.await_free(uri)
        if life.code != 0:
            summary = _summary(uri)
            kept = max(summary.checkpoints, default=0) if summary is not None else 0
            repeated += max(0, life.step - kept)
            where = " inside a checkpoint write" if life.inside_write else ""
            tell(
                f"{', '.join(life.faults)}{where} at step {max(life.step, 0):,}; "
                f"the checkpoint of step {kept:,} stands"
            )
    return lives, repeated


def _blows(schedule: FaultSchedule, generator: random.Random) -> Iterator[Blow]:
    """Yield what happens to one process, up to what ends it."""
    while True:
        blow = schedule.draw(generator)
        yield blow
        if blow.is_fatal:
            return


def _summary(uri: str) -> RunSummary | None:
    """Return how a run is, once there is something to continue."""
    store = open_store(uri)
    try:
        return find_run(store) if store.stat("config.yaml") else None
    except NotFoundError:
        return None


def _live(
    command: Sequence[str],
    blows: Iterator[Blow],
    machine: Machine,
    run: Path,
    frozen: Frozen | None = None,
) -> Life:
    """Run a process until it ends, freezes or its time has come.

    A process that was frozen before wakes as soon as this one has taken its run over.
    """
    started = time.monotonic()
    written, struck, deadline = 0, [], float("inf")
    blow, since, sleeps = next(blows, None), float("inf"), False
    with contextlib.ExitStack() as stack:
        child = stack.enter_context(Child(command, silent=True))
        while child.process.poll() is None and not sleeps:
            now = time.monotonic()
            if since == float("inf") and child.step >= 0:
                since = now
                if frozen is not None:
                    frozen.wake()
            waits = blow is not None and now - since > blow.after_s
            if blow is not None and waits and _is_the_moment(blow, run, now - since):
                struck.append(blow.fault)
                deadline = now + machine.strike(blow.fault, child, run)
                fatal, sleeps = blow.is_fatal, blow.fault == "freeze"
                blow, since = (None if fatal else next(blows, None)), now
                deadline = deadline if fatal else float("inf")
            if now > deadline:
                child.kill()
            written = _bytes_written(child.process.pid) or written
            time.sleep(_POLL_WRITE_S if waits else _POLL_S)
        code, step = child.process.poll(), child.step
        kept = Frozen(child, stack.pop_all()) if code is None else None
    if frozen is not None:
        frozen.end(may_have_finished=step < 0)
    code = -signal.SIGSTOP if code is None else code
    inside = code == -9 and any(run.glob("checkpoints/.*.tmp"))
    return Life(code, step, time.monotonic() - started, written, tuple(struck), inside, kept)


def _is_the_moment(blow: Blow, run: Path, waited_s: float) -> bool:
    if not blow.inside_write or waited_s > blow.after_s + _LONGEST_WAIT_S:
        return True
    return any(run.glob("checkpoints/.*.tmp"))


def _expect(life: Life, *, is_locked_out: bool = False) -> None:
    """Refuse an end that nothing explains; a frozen process may hold a lock that others need."""
    allowed = {0}.union(*(_CODES[fault] for fault in life.faults), {1} if is_locked_out else ())
    if life.code not in allowed:
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
