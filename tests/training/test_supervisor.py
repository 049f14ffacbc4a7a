"""A supervised run ends, whatever happens to its processes, or says why it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from roboyard.errors import ConfigError, TrainingError
from roboyard.runs.heartbeat import Heartbeat, make_heartbeat, read_heartbeat
from roboyard.runs.supervisor import Patience, SupervisionResult, Supervisor
from roboyard.training.callbacks.heartbeat import HeartbeatCallback

# Children that behave like a training process without importing torch, so that they are quick.
PREAMBLE = """
import faulthandler, json, os, signal, struct, sys, time
from pathlib import Path
run = Path({run!r})
run.mkdir(exist_ok=True)
(run / "config.yaml").touch()
(run / "status.json").write_text('{{"state": "running", "step": 0}}')
beat = Path(os.environ["ROBOYARD_HEARTBEAT"])
faulthandler.register(signal.SIGUSR2, file=open(str(beat) + ".stacks", "w"))
starts = len(list(run.glob("start-*")))
(run / f"start-{{starts}}").write_text(" ".join(sys.argv[1:]))

def step(number):
    with beat.open("r+b") as file:
        file.write(struct.pack("<q", number))

def fail(reason, at):
    step(at)
    status = {{"state": "failed", "step": at, "reason": reason}}
    (run / "status.json").write_text(json.dumps(status))
    sys.exit(1)
"""
QUICK = {"backoff_s": 0.01, "longest_backoff_s": 0.02}


def supervisor(run: Path, body: str, **patience: object) -> Supervisor:
    script = PREAMBLE.format(run=str(run)) + textwrap.dedent(body)
    command = [sys.executable, "-c", script]
    limits = Patience(**(QUICK | patience))
    return Supervisor([*command, "start"], [*command, "resume"], str(run), limits)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def starts(run: Path) -> list[str]:
    return [path.read_text() for path in sorted(run.glob("start-*"))]


def test_kills_and_stops_are_survived_and_counted_apart_from_errors(run: Path) -> None:
    body = """
        step(starts)
        if starts == 0: os.kill(os.getpid(), signal.SIGKILL)
        if starts == 1: sys.exit(75)
        if starts == 2: os.abort()
    """
    assert supervisor(run, body).run() == SupervisionResult(0, preemptions=2, errors=1)
    assert starts(run) == ["start", "resume", "resume", "resume"]


def test_an_error_that_repeats_at_the_same_step_stops_the_run(run: Path) -> None:
    with pytest.raises(TrainingError, match=r"came twice at step 7, .* help: reward is nan"):
        supervisor(run, "fail('reward is nan', 7)").run()
    assert len(starts(run)) == 2


def test_errors_that_move_on_spend_their_budget(run: Path) -> None:
    with pytest.raises(TrainingError, match="ended 3 times by errors, and 2 are allowed"):
        supervisor(run, "fail('odd', 10 * starts)", errors=2).run()


def test_preemptions_have_a_budget_of_their_own(run: Path) -> None:
    with pytest.raises(TrainingError, match="ended 2 times by preemptions, and 1 are allowed"):
        supervisor(run, "step(starts); sys.exit(75)", preemptions=1).run()


def test_a_store_that_cannot_be_read_is_waited_for_and_the_run_goes_on(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither "there is a run" nor "there is none": starting anew would end with exit code 2."""
    body = """
        if starts == 0:
            run.rename(str(run) + ".away")
            run.symlink_to(run)  # every look ends with an error: too many links
            os.kill(os.getpid(), signal.SIGKILL)
        if sys.argv[1] == "start": sys.exit(2)
    """
    patience = supervisor(run, body)

    def mend_when_told() -> None:
        while "does not say whether there is a run" not in caplog.text:
            time.sleep(0.01)
        run.unlink()
        run.with_name("run.away").rename(run)

    thread = threading.Thread(target=mend_when_told)
    thread.start()
    assert patience.run() == SupervisionResult(0, preemptions=1, errors=0)
    thread.join()
    assert starts(run) == ["start", "resume"]


def test_a_stop_ends_the_wait_for_a_store_before_anything_is_started(run: Path) -> None:
    run.symlink_to(run)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert supervisor(run, "step(1)").run() == SupervisionResult(75, preemptions=0, errors=0)
    assert run.is_symlink()


def test_the_users_mistake_is_not_tried_again(run: Path) -> None:
    with pytest.raises(ConfigError, match="its command is wrong"):
        supervisor(run, "sys.exit(2)").run()
    assert len(starts(run)) == 1


def test_a_hang_is_shown_with_its_stacks_and_ended(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = """
        def stuck_here():
            time.sleep(60)
        step(5 + starts)
        if starts == 0: stuck_here()
    """
    assert supervisor(run, body, hang_s=1.5).run() == SupervisionResult(0, preemptions=0, errors=1)
    assert "no step for 2 s after step 5" in caplog.text
    assert "stuck_here" in caplog.text


def test_a_notice_ends_the_supervisor_too_because_the_machine_goes_away(run: Path) -> None:
    body = """
        status = {"state": "interrupted", "step": 3, "reason": "preemption notice: terminate"}
        (run / "status.json").write_text(json.dumps(status))
        sys.exit(75)
    """
    assert supervisor(run, body).run() == SupervisionResult(75, preemptions=0, errors=0)


def test_a_signal_is_passed_on_once_and_ends_the_run(run: Path) -> None:
    body = """
        got = []
        signal.signal(signal.SIGTERM, lambda *_: got.append(1))
        step(1)
        (run / "ready").touch()
        while not got: time.sleep(0.01)
        time.sleep(0.3)
        sys.exit(75 if got == [1] else 1)
    """

    def stop_when_ready() -> None:
        while not (run / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop_when_ready)
    thread.start()
    assert supervisor(run, body).run() == SupervisionResult(75, preemptions=0, errors=0)
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_heartbeat_keeps_the_last_step(tmp_path: Path) -> None:
    make_heartbeat(tmp_path / "step")
    assert read_heartbeat(tmp_path / "step") == -1
    heartbeat = HeartbeatCallback(Heartbeat(tmp_path / "step"))
    for number in (7, 8):
        heartbeat.num_timesteps = number
        heartbeat._on_step()
    assert read_heartbeat(tmp_path / "step") == 8


def test_the_command_trains_through_a_kill(tmp_path: Path) -> None:
    """The whole way: ``roboyard train --supervise`` with a run that kills itself once."""
    (tmp_path / "killer.py").write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from stable_baselines3.common.callbacks import BaseCallback\n"
        "class Killer(BaseCallback):\n"
        "    def _on_step(self):\n"
        "        mark = Path(__file__).with_name('killed')\n"
        "        if self.num_timesteps >= 100 and not mark.exists():\n"
        "            mark.touch()\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return True\n"
    )
    (tmp_path / "tiny.yaml").write_text(
        f"{{name: tiny, store: {tmp_path}/runs, env: {{id: roboyard/SimpleRobot-v0, num_envs: 2}},"
        "agent: {algorithm: PPO, hyperparameters: {n_steps: 16, batch_size: 16, n_epochs: 1},"
        "network: {actor: [8], critic: [8]}}, train: {total_steps: 128, threads: 1},"
        "evaluation: {episodes: 1, final_episodes: 1}, checkpoint: {every_steps: 64},"
        "video: {final: false}, callbacks: [{entry: 'killer:Killer'}]}"
    )
    command = ["train", "tiny.yaml", "--supervise", "--run-id", "a", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", "from roboyard.cli import main; main()", *command],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "was killed by SIGKILL at step 98" in done.stderr  # it died inside the next one
    assert '"finished"' in (tmp_path / "runs" / "tiny" / "a" / "status.json").read_text()
