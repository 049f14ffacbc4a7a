"""What a run leaves behind, and that looking at it does not change it."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from rich.console import Console
from stable_baselines3.common.callbacks import BaseCallback
from training_runs import Broken, SignalAt, fingerprint, rows, tiny_config, train

from roboyard.errors import ConfigError, TrainingError
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.policies.loading import load_policy
from roboyard.runs.directory import RunDirectory
from roboyard.runs.signals import EXIT_CONTINUE
from roboyard.training.callbacks import ProgressCallback, RunCallback

BROKEN = f"env.id={Broken.__module__}:Broken"
RAW = ("env.normalize.observations=false", "env.normalize.rewards=false")


class Counter(BaseCallback):
    def __init__(self, weight: int = 1) -> None:
        super().__init__()
        self.weight = weight

    def _on_step(self) -> bool:
        return True


class Stopper(BaseCallback):
    def _on_step(self) -> bool:
        return self.num_timesteps < 70


class NotACallback:
    pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    config = tiny_config(tmp_path_factory.mktemp("finished"))
    return RunDirectory(train(config, run_id="a").run_dir)


def test_a_run_directory_holds_everything(finished: RunDirectory) -> None:
    expected = {
        "config.yaml",
        "provenance.json",
        "status.json",
        "train.log",
        "checkpoints",
        "policy",
        "evaluations.jsonl",
        "metrics.jsonl",
        "tensorboard",
        "report",
        "lease.json",
        ".lease.json.lock",
        "final_evaluation.json",
        "results",
    }
    assert {path.name for path in finished.path.iterdir()} == expected
    status = finished.read_status()
    assert (status.state, status.step, status.last_checkpoint) == ("finished", 192, 192)


def test_metrics_tell_returns_losses_speed_and_where_the_time_goes(finished: RunDirectory) -> None:
    row = rows(finished.metrics_file, timeless=False)[-1]
    for key in (
        "step",
        "time_s",
        "rollout/return_mean",
        "rollout/length_mean",
        "train/value_loss",
        "time/steps_per_s",
        "time/env_share",
        "time/inference_share",
        "time/learn_share",
        "system/cpu_percent",
    ):
        assert key in row
    shares = [row[f"time/{phase}_share"] for phase in ("env", "inference", "learn")]
    assert all(share > 0 for share in shares)
    assert sum(shares) <= 1


def test_episode_returns_are_those_of_the_environment_not_the_scaled_ones(
    finished: RunDirectory,
) -> None:
    row = rows(finished.metrics_file)[-1]
    assert row["rollout/return_mean"] == pytest.approx(row["rollout/length_mean"])


def test_the_best_policy_plays_with_its_normaliser(finished: RunDirectory) -> None:
    policy = load_policy(finished.path)
    action, _ = policy.predict([[0.0, 0.0, 0.1, 0.0]])
    assert action.shape == (1, 1)


def test_the_same_config_and_seed_twice_gives_the_same_weights(
    finished: RunDirectory, tmp_path: Path
) -> None:
    again = train(tiny_config(tmp_path), run_id="again").run_dir
    assert fingerprint(again) == fingerprint(finished.path)


def test_another_seed_gives_other_weights(finished: RunDirectory, tmp_path: Path) -> None:
    other = train(tiny_config(tmp_path, overrides=("seed=1",)), run_id="other").run_dir
    key = "policy.safetensors"
    assert fingerprint(other)[key] != fingerprint(finished.path)[key]


def test_evaluating_during_training_leaves_training_unchanged(
    finished: RunDirectory, tmp_path: Path
) -> None:
    blind = tiny_config(tmp_path, overrides=("evaluation.during_training=false",))
    assert fingerprint(train(blind, run_id="blind").run_dir) == fingerprint(finished.path)


def test_recording_videos_leaves_training_unchanged(finished: RunDirectory, tmp_path: Path) -> None:
    video = "video={every_steps: 96, final: false, max_steps: 4, width: 64, height: 48}"
    run = train(tiny_config(tmp_path, overrides=(video,)), run_id="filmed").run_dir
    names = sorted(path.name for path in (run / "videos").iterdir())
    assert names == ["step-000000000096.mp4", "step-000000000192.mp4"]
    assert fingerprint(run) == fingerprint(finished.path)


def test_the_policy_says_what_its_entries_mean(finished: RunDirectory) -> None:
    contract = PolicyBundle.read(finished.policy_last).contract
    assert contract.control_period_s == pytest.approx(0.02)


def test_checkpoints_are_rotated(finished: RunDirectory) -> None:
    names = sorted(path.name for path in finished.checkpoints.iterdir())
    assert names == ["000000000096", "000000000160", "000000000192"]


def test_a_folder_that_is_not_empty_is_refused(finished: RunDirectory) -> None:
    config = tiny_config(finished.path.parent.parent)
    with pytest.raises(ConfigError, match=r"is not empty.*--resume.*--run-id"):
        train(config, run_id="a")


def test_a_finished_run_is_not_trained_further(finished: RunDirectory) -> None:
    config = tiny_config(finished.path.parent.parent)
    before = fingerprint(finished.path)
    result = train(config, resume_from=finished.path)
    assert (result.state, result.steps) == ("finished", 192)
    assert fingerprint(finished.path) == before
    assert len(json.loads(finished.provenance_file.read_text())["segments"]) >= 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=lambda each: each.name)
def test_a_signal_stops_at_a_boundary_with_a_checkpoint(
    tmp_path: Path, number: signal.Signals
) -> None:
    config = tiny_config(tmp_path)
    result = train(config, run_id="a", callbacks=[SignalAt(70, number)])
    assert (result.state, result.steps, result.reason) == ("interrupted", 96, number.name)
    assert result.exit_code == EXIT_CONTINUE == 75
    status = RunDirectory(result.run_dir).read_status()
    assert (status.state, status.last_checkpoint) == ("interrupted", 96)
    assert signal.getsignal(number) == signal.SIG_DFL


def test_ctrl_c_stops_with_a_checkpoint_and_the_run_goes_on_as_if_it_had_not(
    finished: RunDirectory, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path)
    stopped = train(config, run_id="a", callbacks=[SignalAt(100, signal.SIGINT)])
    assert stopped.state == "interrupted"
    train(config, resume_from=stopped.run_dir)
    assert fingerprint(stopped.run_dir) == fingerprint(finished.path)


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    class Twice(SignalAt):
        def _on_step(self) -> bool:
            signal.raise_signal(signal.SIGINT)
            return super()._on_step()

    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(tmp_path), run_id="a", callbacks=[Twice(0, signal.SIGINT)])
    status = RunDirectory(tmp_path / "tiny" / "a").read_status()
    assert (status.state, status.reason) == ("interrupted", "stopped at once")


def test_training_works_outside_the_main_thread(tmp_path: Path) -> None:
    states = []
    config = tiny_config(tmp_path, overrides=("train.total_steps=32",))
    thread = threading.Thread(target=lambda: states.append(train(config, run_id="a").state))
    thread.start()
    thread.join()
    assert states == ["finished"]


def test_a_run_can_be_extended(finished: RunDirectory, tmp_path: Path) -> None:
    short = train(tiny_config(tmp_path, overrides=("train.total_steps=96",)), run_id="a").run_dir
    result = train(tiny_config(tmp_path), resume_from=short)
    assert result.steps == 192
    # The learning rate is constant, so the longer run is the one that was longer from the start.
    assert (
        fingerprint(short)["policy.safetensors"] == fingerprint(finished.path)["policy.safetensors"]
    )


def test_a_changed_key_cannot_continue_and_is_named(finished: RunDirectory) -> None:
    changed = tiny_config(
        finished.path.parent.parent, overrides=("seed=3", "agent.hyperparameters.gamma=0.9")
    )
    with pytest.raises(ConfigError, match=r"hyperparameters\.gamma \(0\.99 in the run, 0\.9"):
        train(changed, resume_from=finished.path)


def test_a_run_cannot_be_shortened(finished: RunDirectory) -> None:
    shorter = tiny_config(finished.path.parent.parent, overrides=("train.total_steps=64",))
    with pytest.raises(ConfigError, match="can be extended, not shortened"):
        train(shorter, resume_from=finished.path)


def test_a_return_threshold_ends_the_run(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, overrides=("early_stop.return_threshold=1",))
    result = train(config, run_id="a")
    assert (result.state, result.steps) == ("finished", 64)
    assert "reached 1" in result.reason
    assert train(config, resume_from=result.run_dir).steps == 64


def test_no_improvement_ends_the_run(tmp_path: Path) -> None:
    config = tiny_config(
        tmp_path, overrides=("early_stop.patience=1", "early_stop.min_improvement=1000")
    )
    result = train(config, run_id="a")
    assert result.steps == 128
    assert "in 1 evaluation" in result.reason


def test_a_time_limit_ends_the_run(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, overrides=("early_stop.max_minutes=1e-9",))
    assert "time limit" in train(config, run_id="a").reason


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("observation", r"observation is nan \(environment copy 0, entry 1\) at step 10\."),
        ("reward", r"reward is inf \(environment copy 0\) at step 10\."),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_nan_from_the_environment_is_located(
    tmp_path: Path, what: str, message: str, wrapped: bool
) -> None:
    overrides = (BROKEN, f"env.kwargs={{what: {what}}}", *(() if wrapped else RAW))
    with pytest.raises(TrainingError, match=message):
        train(tiny_config(tmp_path, overrides=overrides), run_id="a")
    status = RunDirectory(tmp_path / "tiny" / "a").read_status()
    assert status.state == "failed"
    assert what in status.reason


def test_nan_in_the_network_is_located(tmp_path: Path) -> None:
    class Poison(RunCallback):
        def _on_rollout_end(self) -> None:
            self.model.policy.log_std.data.fill_(float("nan"))

    with pytest.raises(TrainingError, match=r"(parameter '|train/).*is (not finite|nan)"):
        train(tiny_config(tmp_path), run_id="a", callbacks=[Poison()])


def test_the_users_callbacks_run(tmp_path: Path) -> None:
    entry = f"callbacks=[{{entry: '{__name__}:Stopper'}}]"
    result = train(tiny_config(tmp_path, overrides=(entry,)), run_id="a")
    assert (result.steps, result.reason) == (70, "a callback stopped the run")


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (f"{__name__}:NotACallback", "it must be a class derived from"),
        (f"{__name__}:Broken", "it must be a class derived from"),
        (f"{__name__}:Missing", "has no 'Missing'"),
        (f"{__name__}:Counter', wait", "'wait'"),
    ],
)
def test_a_wrong_callback_is_refused(tmp_path: Path, callback: str, message: str) -> None:
    entry, _, rest = callback.partition("', ")
    extra = ", kwargs: {wait: 1}" if rest else ""
    overrides = (f"callbacks=[{{entry: '{entry}'{extra}}}]",)
    with pytest.raises(ConfigError, match=message):
        train(tiny_config(tmp_path, overrides=overrides), run_id="a")


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with path.open("w") as file:
        progress = ProgressCallback(192, Console(file=file))
        train(tiny_config(tmp_path), run_id="a", callbacks=[progress])
    assert path.read_text().splitlines()[-1].startswith("step 192/192 (100 %)")
    assert "\x1b" not in path.read_text()


def test_progress_is_a_bar_in_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with path.open("w") as file:
        progress = ProgressCallback(192, Console(file=file, force_terminal=True, width=120))
        train(tiny_config(tmp_path), run_id="a", callbacks=[progress])
    text = path.read_text()
    assert "training" in text
    assert "192/192" in text


def test_the_record_says_when_where_and_from_which_step_each_part_ran(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    stopped = train(config, run_id="a", callbacks=[SignalAt(70, signal.SIGTERM)])
    run = RunDirectory(train(config, resume_from=stopped.run_dir).run_dir)
    first, second = json.loads(run.provenance_file.read_text())["segments"]
    assert (first["from_step"], second["from_step"]) == (0, 96)
    assert first["started"] <= second["started"]
    for segment in (first, second):
        assert segment["pid"] == os.getpid()
        assert segment["host"]["name"] == socket.gethostname()
        assert segment["command"]
        assert segment["versions"]["torch"]
