"""What has a memory is continued exactly if it offers it; if not, the run says that it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from training_runs import fingerprint, kill_at, last_checkpoint, rows, run_path, tiny_config, train

from roboyard.config.schema import EnvConfig, ExperimentConfig
from roboyard.envs.factory import make_env


class StickyAction(gymnasium.Wrapper):
    """Repeats the last action now and then; its generator and that action are its memory."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self._generator, self._last = np.random.default_rng(5), np.zeros(1, np.float32)

    def step(self, action: np.ndarray) -> tuple:
        if self._generator.random() > 0.5:
            self._last = np.array(action)
        return self.env.step(self._last)


class OfferedSticky(StickyAction):
    """Offers its memory by the names that Gymnasium's users know."""

    def get_state(self) -> dict[str, Any]:
        return {"generator": self._generator.bit_generator.state, "last": self._last}

    def set_state(self, state: dict[str, Any]) -> None:
        self._generator.bit_generator.state = state["generator"]
        self._last = state["last"]


class Filter(gymnasium.ObservationWrapper):
    """A low-pass filter over all observations that ever were."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self._mean = np.zeros(env.observation_space.shape, np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        self._mean = np.float32(0.9) * self._mean + np.float32(0.1) * observation
        return self._mean.copy()


class OfferedFilter(Filter):
    """Offers its memory."""

    def state(self) -> dict[str, Any]:
        return {"mean": self._mean}

    def load_state(self, state: dict[str, Any]) -> None:
        self._mean = state["mean"]


class Worn(gymnasium.Env):
    """A joint that wears off over all episodes; those end where rollouts of 16 steps do."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self) -> None:
        self.wear = 0.0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        self._x, self._steps = float(self.np_random.uniform(-1, 1)), 0
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple:
        self._x += float(action[0]) / (1.0 + self.wear)
        self.wear += 0.01 * abs(float(action[0]))
        self._steps += 1
        return self._seen(), -abs(self._x), False, self._steps >= 16, {}

    def _seen(self) -> np.ndarray:
        return np.array([self._x, 0.0], np.float32)


class OfferedWorn(Worn):
    """Offers its wear."""

    def state(self) -> dict[str, Any]:
        return {"wear": self.wear}

    def load_state(self, state: dict[str, Any]) -> None:
        self.wear = state["wear"]


class GlobalDraws(Worn):
    """Draws from the process's generators, as old environments do."""

    def step(self, action: np.ndarray) -> tuple:
        self.wear = 0.0
        observation, reward, *rest = super().step(action)
        return observation + np.float32(np.random.normal()), reward, *rest


class Annealing(BaseCallback):
    """Turns the entropy bonus up with each rollout that it has counted."""

    def __init__(self) -> None:
        super().__init__()
        self.rollouts = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.rollouts += 1
        self.model.ent_coef += 0.05 * self.rollouts


class OfferedAnnealing(Annealing):
    """Offers its count."""

    def state(self) -> dict[str, Any]:
        return {"rollouts": self.rollouts}

    def load_state(self, state: dict[str, Any]) -> None:
        self.rollouts = state["rollouts"]


class Momentum(PPO):
    """Lets what it has learnt from so far set the clipping."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen = np.zeros(2)

    def train(self) -> None:
        self.seen = self.seen + np.array([1.0, self.rollout_buffer.rewards.mean()])
        clip = 0.1 + 0.01 * self.seen[0] + abs(self.seen[1])
        self.clip_range = lambda _: clip
        super().train()


class OfferedMomentum(Momentum):
    """Offers what it has seen."""

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


def _cartpole() -> gymnasium.Env:
    return make_env(EnvConfig(id="roboyard/SimpleRobot-v0"))


def sticky(render_mode: str | None = None) -> gymnasium.Env:
    return StickyAction(_cartpole())


def offered_sticky(render_mode: str | None = None) -> gymnasium.Env:
    return OfferedSticky(_cartpole())


def filtered(render_mode: str | None = None) -> gymnasium.Env:
    return Filter(_cartpole())


def offered_filter(render_mode: str | None = None) -> gymnasium.Env:
    return OfferedFilter(_cartpole())


def standard(render_mode: str | None = None) -> gymnasium.Env:
    """Gymnasium's own wrappers, which remember and offer nothing."""
    stacked = gymnasium.wrappers.FrameStackObservation(_cartpole(), 2)
    return gymnasium.wrappers.NormalizeObservation(gymnasium.wrappers.FlattenObservation(stacked))


def config_of(store: Path, **what: str) -> ExperimentConfig:
    env = f"{__name__}:{what.get('env', 'Worn')}" if "env" in what else "roboyard/SimpleRobot-v0"
    overrides = [
        f"env.id={env}",
        "train.total_steps=128",
        "evaluation.during_training=false",
        "evaluation.final_episodes=1",
        *what.get("overrides", "").split(),
    ]
    if "callback" in what:
        overrides.append(f"callbacks=[{{entry: '{__name__}:{what['callback']}'}}]")
    if "algorithm" in what:
        agent = tiny_config(store).agent.model_dump(mode="json")
        agent["algorithm"] = f"{__name__}:{what['algorithm']}"
        overrides.append(f"agent={json.dumps(agent)}")  # by its name alone it would get defaults
    return tiny_config(store, "PPO", tuple(overrides))


def whole_and_killed(config: ExperimentConfig, kill: int = 120) -> tuple[Path, Path]:
    whole = train(config, run_id="whole").run_dir
    kill_at(config, "killed", kill)
    return whole, train(config, resume_from=run_path(config, "killed")).run_dir


def exact(run: Path) -> bool:
    says = json.loads((last_checkpoint(run) / "MANIFEST.json").read_text())["exact"]
    part = json.loads((run / "provenance.json").read_text())["segments"][-1]
    assert part["exact"] is says
    assert bool(part["not_exact_because"]) is not says
    assert bool(json.loads((run / "status.json").read_text())["notes"]) is not says
    return bool(says)


OFFERED = {
    "sticky": {"env": "offered_sticky"},
    "filter": {"env": "offered_filter", "overrides": "env.workers=1"},
    "wear": {"env": "OfferedWorn"},
    "global": {"env": "GlobalDraws"},
    "callback": {"callback": "OfferedAnnealing"},
    "algorithm": {"algorithm": "OfferedMomentum"},
    "gymnasium": {"env": "standard"},
}
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(OFFERED["filter"], marks=SLOW),
        OFFERED["wear"],
        pytest.param(OFFERED["algorithm"], marks=SLOW),
        pytest.param(OFFERED["sticky"], marks=SLOW),
        pytest.param(OFFERED["global"], marks=SLOW),
        pytest.param(OFFERED["callback"], marks=SLOW),
        pytest.param(OFFERED["gymnasium"], marks=SLOW),
    ],
    ids=lambda what: "-".join(what.values()),
)
def test_an_offered_memory_is_continued_exactly(tmp_path: Path, what: dict[str, str]) -> None:
    whole, killed = whole_and_killed(config_of(tmp_path, **what))
    assert fingerprint(killed) == fingerprint(whole)
    assert rows(killed / "metrics.jsonl") == rows(whole / "metrics.jsonl")
    assert exact(killed)


@pytest.mark.parametrize(
    ("what", "named"),
    [
        (
            {"env": "sticky"},
            "the wrapper 'StickyAction' changes its attributes (_generator, _l",
        ),
        ({"env": "Worn"}, f"the environment '{__name__}:Worn' does not repeat itself (repeated"),
        ({"callback": "Annealing"}, f"the callback '{__name__}:Annealing' changes its attributes"),
        ({"algorithm": "Momentum"}, "the algorithm 'Momentum' changes its attributes (seen)"),
        pytest.param({"env": "filtered"}, "the wrapper 'Filter' changes", marks=SLOW),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_memory_that_is_not_offered_is_named_and_the_run_not_called_exact(
    tmp_path: Path, what: dict[str, str], named: str
) -> None:
    config = config_of(tmp_path, **what)
    kill_at(config, "killed", 120)
    killed = train(config, resume_from=run_path(config, "killed")).run_dir
    assert not exact(killed)
    (because,) = json.loads((killed / "provenance.json").read_text())["segments"][-1][
        "not_exact_because"
    ]
    assert because.startswith(f"not exact, because {named}")
    assert (killed / "train.log").read_text().count(f"exact, because {named}") == 2
