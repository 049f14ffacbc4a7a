"""Tiny runs for the training tests; importable from child processes."""

from __future__ import annotations

import copy
import hashlib
import json
import multiprocessing
import os
import pickle
import signal
from pathlib import Path

import gymnasium
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.training.callbacks import RunCallback
from roboyard.training.checkpoints.parts.ring_log import replayed
from roboyard.training.result import TrainResult
from roboyard.training.trainer import Trainer

ON_POLICY = {"n_steps": 16}
OFF_POLICY = {"learning_starts": 20, "buffer_size": 150, "batch_size": 16}
ALGORITHMS = {
    "PPO": {**ON_POLICY, "batch_size": 16, "n_epochs": 2},
    "A2C": {"n_steps": 5},
    "TRPO": {**ON_POLICY, "batch_size": 16},
    "RecurrentPPO": {**ON_POLICY, "batch_size": 16, "n_epochs": 1},
    "ARS": {"n_delta": 2},
    "SAC": OFF_POLICY,
    "TD3": OFF_POLICY,
    "TQC": OFF_POLICY,
    "CrossQ": OFF_POLICY,
}


def tiny_config(
    store: Path, algorithm: str = "PPO", overrides: tuple[str, ...] = (), **agent: object
) -> ExperimentConfig:
    small = {} if algorithm == "ARS" else {"actor": [8], "critic": [8]}
    if algorithm == "RecurrentPPO":
        small["lstm_size"] = 4
    return load(
        {
            "name": "tiny",
            "store": str(store),
            "env": {
                "id": "roboyard/SimpleRobot-v0",
                "num_envs": 2,
                "workers": 0,
                "normalize": {"observations": True, "rewards": algorithm != "ARS"},
            },
            "agent": {
                "algorithm": algorithm,
                "backend": "torch",
                "hyperparameters": ALGORITHMS[algorithm],
                "network": small,
                **agent,
            },
            "train": {"total_steps": 192},
            "checkpoint": {"every_steps": 48},
            "evaluation": {"every_steps": 64, "episodes": 2, "num_envs": 2, "final_episodes": 2},
            "tracking": {"every_steps": 32},
            "video": {"final": False},
        },
        overrides,
    )


def train(config: ExperimentConfig, **kwargs: object) -> TrainResult:
    return Trainer(config, progress=False, **kwargs).train()


class KillAt(BaseCallback):
    """Kills its own process, as an eviction does: at once, and in the middle of a rollout."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def _on_step(self) -> bool:
        if self.model.num_timesteps >= self._step:
            os.kill(os.getpid(), signal.SIGKILL)
        return True


class KillWhileSaving(RunCallback):
    """Kills its own process in the middle of the first checkpoint write after ``step``."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def state(self) -> dict[str, object]:
        if self.model.num_timesteps >= self._step:
            os.kill(os.getpid(), signal.SIGKILL)
        return {}


class SignalAt(BaseCallback):
    """Sends its own process a signal."""

    def __init__(self, step: int, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self._step = step
        self._number = number

    def _on_step(self) -> bool:
        if self.model.num_timesteps >= self._step:
            self._step = 10**9
            os.kill(os.getpid(), self._number)
        return True

    def state(self) -> dict[str, object]:
        return {}  # what it counts to is each process's own

    def load_state(self, state: dict[str, object]) -> None:
        pass


def _train_until_killed(config: ExperimentConfig, run_id: str, step: int, resume: bool) -> None:
    kwargs = {"resume_from": run_path(config, run_id)} if resume else {"run_id": run_id}
    killer = KillAt(step) if step > 0 else KillWhileSaving(-step)
    train(config, callbacks=[killer], **kwargs)


def run_path(config: ExperimentConfig, run_id: str) -> Path:
    return Path(config.store) / config.name / run_id


def kill_at(config: ExperimentConfig, run_id: str, step: int, *, resume: bool = False) -> None:
    """Train in another process, which dies by SIGKILL at ``step``.

    A negative step stands for the first checkpoint write after it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training_runs"])
    process = context.Process(target=_train_until_killed, args=(config, run_id, step, resume))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def last_checkpoint(run: Path) -> Path:
    return sorted((run / "checkpoints").glob("[0-9]*"))[-1]


def fingerprint(run: Path) -> dict[str, str]:
    """Hashes of everything in the last checkpoint that does not tell the time."""
    folder = last_checkpoint(run)
    hashes = {"step": folder.name}
    for name in ("policy.safetensors", "tensors.safetensors", "optimizers.pt", "generators.json"):
        hashes[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            for key in sorted(arrays.files):
                if key not in ("elapsed", "episodes/t"):
                    content = arrays[key].tobytes()
                    hashes[f"{path.name}/{key}"] = hashlib.sha256(content).hexdigest()
    if (folder / "replay.json").exists():
        ring: dict[str, dict[int, bytes]] = {}
        for name, start, values in replayed(folder):
            column = ring.setdefault(name, {})
            column |= {start + i: row.tobytes() for i, row in enumerate(values)}
        for name, column in ring.items():
            content = b"".join(column[row] for row in sorted(column))
            hashes[f"replay/{name}"] = hashlib.sha256(content).hexdigest()
    return hashes


def rows(path: Path, *, timeless: bool = True) -> list[dict[str, object]]:
    """Rows of a JSONL file without what depends on the clock and the machine."""
    parsed = [json.loads(line) for line in path.read_text().splitlines()]
    if not timeless:
        return parsed
    return [
        {
            key: value
            for key, value in row.items()
            if not key.startswith(("time", "system/", "checkpoint/", "wall_s"))
        }
        for row in parsed
    ]


class PointGoal(gymnasium.Env):
    """A point that moves to a goal on a line; it offers snapshots, and a goal for hindsight."""

    def __init__(self) -> None:
        line = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)
        self.observation_space = gymnasium.spaces.Dict(
            {"observation": line, "achieved_goal": line, "desired_goal": line}
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._state = {"x": 0.0, "goal": 0.0, "steps": 0}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        self._state = {"x": 0.0, "goal": float(self.np_random.uniform(-1, 1)), "steps": 0}
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple:
        self._state["x"] = float(np.clip(self._state["x"] + 0.2 * action[0], -2, 2))
        self._state["steps"] += 1
        seen = self._observation()
        reward = self.compute_reward(seen["achieved_goal"], seen["desired_goal"], {})
        return seen, float(reward), False, self._state["steps"] >= 10, {}

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: object) -> np.ndarray:
        return -(np.abs(achieved - desired)[..., 0] > 0.1).astype(np.float32)

    def snapshot(self) -> bytes:
        return pickle.dumps((copy.deepcopy(self._state), self.np_random.bit_generator.state))

    def restore(self, data: bytes) -> None:
        self._state, self.np_random.bit_generator.state = pickle.loads(data)

    def _observation(self) -> dict[str, np.ndarray]:
        def entry(name: str) -> np.ndarray:
            return np.array([self._state[name]], dtype=np.float32)

        return {
            "observation": entry("x"),
            "achieved_goal": entry("x"),
            "desired_goal": entry("goal"),
        }


class Dice(gymnasium.Env):
    """Draws its observations from the system's entropy, so that nothing comes twice."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        self._steps = 0
        return self._roll(), {}

    def step(self, action: np.ndarray) -> tuple:
        self._steps += 1
        return self._roll(), float(self._roll()[0]), False, self._steps >= 50, {}

    def _roll(self) -> np.ndarray:
        return np.random.default_rng().uniform(0, 1, 1).astype(np.float32)


class Broken(gymnasium.Env):
    """Returns a NaN in entry 1 of its observation, or as its reward, after a few steps."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, what: str = "observation", at: int = 5) -> None:
        self._what = what
        self._at = at
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        return np.zeros(3, np.float32), {}

    def step(self, action: np.ndarray) -> tuple:
        self._steps += 1
        seen, reward = np.full(3, 0.1, np.float32), 1.0
        if self._steps == self._at:
            if self._what == "observation":
                seen[1] = np.nan
            else:
                reward = float("inf")
        return seen, reward, False, self._steps % 20 == 0, {}
