"""The first SIGTERM is obeyed wherever the run is, and what it cut short is made up for."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from training_runs import fingerprint, rows, tiny_config, train

from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError
from roboyard.evaluation import evaluator as evaluator_module
from roboyard.evaluation.evaluator import Evaluator
from roboyard.evaluation.video import record_video
from roboyard.training.result import TrainResult


class Endless(gymnasium.Env):
    """An environment whose episodes never end."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple:
        return np.zeros(1, np.float32), 0.0, False, False, {}


@pytest.fixture
def sigterm_at(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Have this process get SIGTERM at the beginning of its evaluation with a number, from 1."""

    def at(number: int) -> None:
        run, count = Evaluator._run, [0]

        def signalled(self: Evaluator, *args: object) -> object:
            count[0] += 1
            if count[0] == number:
                os.kill(os.getpid(), signal.SIGTERM)
            return run(self, *args)

        monkeypatch.setattr(Evaluator, "_run", signalled)

    return at


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    store = tmp_path_factory.mktemp("whole")
    return store, train(tiny_config(store), run_id="whole")


def evaluations(run: Path) -> list[dict[str, object]]:
    return rows(run / "evaluations.jsonl")


def test_sigterm_in_an_evaluation_writes_a_checkpoint_and_the_evaluation_is_made_up_for(
    sigterm_at, whole: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    config = tiny_config(tmp_path)
    sigterm_at(2)
    stopped = train(config, run_id="a")
    assert (stopped.state, stopped.reason) == ("interrupted", "SIGTERM")
    assert stopped.steps == 128
    assert len(evaluations(stopped.run_dir)) == 1
    result = train(config, resume_from=stopped.run_dir)
    assert result.state == "finished"
    assert fingerprint(result.run_dir) == fingerprint(whole[1].run_dir)
    assert evaluations(result.run_dir) == evaluations(whole[1].run_dir)


def test_sigterm_in_the_final_evaluation_interrupts_a_run_that_then_ends_as_it_would_have(
    sigterm_at, whole: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    config = tiny_config(tmp_path)
    sigterm_at(4)
    stopped = train(config, run_id="a")
    assert (stopped.state, stopped.exit_code, stopped.steps) == ("interrupted", 75, 192)
    assert stopped.reason == "SIGTERM during the final evaluation"
    result = train(config, resume_from=stopped.run_dir)
    assert (result.state, result.steps) == ("finished", 192)
    assert result.evaluation.returns == whole[1].evaluation.returns


def test_an_early_end_that_sigterm_cuts_short_is_no_reason_to_train_on(
    sigterm_at, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path, overrides=("early_stop.return_threshold=1",))
    sigterm_at(2)
    stopped = train(config, run_id="a")
    assert (stopped.state, stopped.steps) == ("interrupted", 64)
    result = train(config, resume_from=stopped.run_dir)
    assert (result.state, result.steps) == ("finished", 64)
    assert "stopped early" in result.reason


def endless(store: Path) -> ExperimentConfig:
    overrides = ("env.id=test_stopping:Endless", "env.normalize={}", "agent.network={actor: [4]}")
    return tiny_config(store, overrides=overrides)


def test_sigterm_ends_an_evaluation_of_endless_episodes(sigterm_at, tmp_path: Path) -> None:
    sigterm_at(1)
    stopped = train(endless(tmp_path), run_id="a")
    assert (stopped.state, stopped.steps) == ("interrupted", 64)
    status = json.loads((stopped.run_dir / "status.json").read_text())
    assert status["last_checkpoint"] == 64


def test_episodes_that_do_not_end_are_named_and_then_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(evaluator_module, "LONG_STEPS", 20)
    monkeypatch.setattr(evaluator_module, "ENDLESS_STEPS", 40)
    env = endless(Path("unused")).env
    policy = _Zero(Endless())
    with (
        Evaluator(env, episodes=2, num_envs=2, workers=0) as evaluator,
        pytest.raises(ConfigError, match=r"'test_stopping:Endless' .* env\.max_episode_steps"),
    ):
        evaluator.evaluate(policy)
    assert "has not ended after 20 control steps" in caplog.text
    limited = env.model_copy(update={"max_episode_steps": 60})
    with Evaluator(limited, episodes=2, num_envs=2, workers=0) as evaluator:
        assert evaluator.evaluate(policy).lengths == (60, 60)


def test_a_video_is_left_when_the_process_is_to_stop(tmp_path: Path) -> None:
    from roboyard.evaluation.stopping import StoppedError

    path = tmp_path / "a.mp4"
    config = tiny_config(tmp_path).env
    with pytest.raises(StoppedError, match="a video was not finished"):
        record_video(config, _Zero(gymnasium.make(config.id)), path, should_stop=lambda: True)
    assert not path.exists()


class _Zero:
    """Does nothing."""

    def __init__(self, env: gymnasium.Env) -> None:
        self._action = np.zeros(env.action_space.shape, np.float32)
        env.close()

    def predict(self, observation: np.ndarray, *args: object, **kwargs: object) -> tuple:
        return np.tile(self._action, (len(observation), 1)), None


sys.modules.setdefault("test_stopping", sys.modules[__name__])
