"""Where the algorithm's loop stands: counters, last observations, recent episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.training.checkpoints.parts.base import (
    AnyArray,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)
from roboyard.training.checkpoints.parts.environments import EnvironmentsPart

COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_n_calls",
    "_episode_num",
    "_current_progress_remaining",
    "exploration_rate",
    "old_count",
)
_OBSERVATIONS = ("_last_obs", "_last_original_obs", "_last_episode_starts")


class LoopPart:
    """The variables that the algorithm's loop carries from one rollout to the next."""

    def __init__(self, algorithm: BaseAlgorithm, environments: EnvironmentsPart) -> None:
        """Own the loop variables of ``algorithm``; ``environments`` are restored before."""
        self._algorithm = algorithm
        self._environments = environments

    def save(self, folder: Path) -> None:
        """Write ``loop.json`` and ``loop.npz``."""
        present = [name for name in COUNTERS if hasattr(self._algorithm, name)]
        counters = {name: _number(getattr(self._algorithm, name)) for name in present}
        write_json(folder / "loop.json", counters)
        write_arrays(folder / "loop.npz", self._arrays())

    def load(self, folder: Path) -> None:
        """Put the loop variables back."""
        for name, value in read_json(folder / "loop.json").items():
            setattr(self._algorithm, name, value)
        arrays = read_arrays(folder / "loop.npz")
        self._load_episodes(arrays)
        if self._environments.exact:
            for name in _OBSERVATIONS:
                setattr(self._algorithm, name, _unpack(arrays, name))
            self._load_lstm(arrays)

    def _arrays(self) -> dict[str, AnyArray]:
        arrays: dict[str, AnyArray] = {}
        for name in _OBSERVATIONS:
            _pack(arrays, name, getattr(self._algorithm, name))
        episodes = list(self._algorithm.ep_info_buffer or ())
        for key in ("r", "l", "t"):
            if episodes and key in episodes[0]:
                arrays[f"episodes/{key}"] = np.asarray([episode[key] for episode in episodes])
        arrays["successes"] = np.asarray(list(self._algorithm.ep_success_buffer or ()))
        states = getattr(self._algorithm, "_last_lstm_states", None)
        if states is not None:
            for i, tensor in enumerate((*states.pi, *states.vf)):
                arrays[f"lstm/{i}"] = tensor.detach().cpu().numpy()
        return arrays

    def _load_episodes(self, arrays: dict[str, AnyArray]) -> None:
        columns = {
            name.removeprefix("episodes/"): values
            for name, values in arrays.items()
            if name.startswith("episodes/")
        }
        episodes = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        # Refilled in place: a deque keeps its length, and ARS uses a list.
        for buffer, values in (
            (self._algorithm.ep_info_buffer, episodes),
            (self._algorithm.ep_success_buffer, list(arrays["successes"])),
        ):
            assert buffer is not None
            buffer.clear()
            buffer.extend(values)

    def _load_lstm(self, arrays: dict[str, AnyArray]) -> None:
        if "lstm/0" not in arrays:
            return
        from sb3_contrib.common.recurrent.type_aliases import RNNStates

        device = self._algorithm.device
        h_pi, c_pi, h_vf, c_vf = (
            torch.from_numpy(arrays[f"lstm/{i}"]).to(device) for i in range(4)
        )
        self._algorithm._last_lstm_states = RNNStates((h_pi, c_pi), (h_vf, c_vf))  # type: ignore[attr-defined]


def _number(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _pack(arrays: dict[str, AnyArray], name: str, value: object) -> None:
    """File an observation, which is an array, a dictionary of arrays or nothing."""
    if isinstance(value, dict):
        arrays |= {f"{name}/{key}": np.asarray(item) for key, item in value.items()}
    elif value is not None:
        arrays[name] = np.asarray(value)


def _unpack(arrays: dict[str, AnyArray], name: str) -> AnyArray | dict[str, AnyArray] | None:
    prefix = f"{name}/"
    if name in arrays:
        return arrays[name]
    entries = {
        key.removeprefix(prefix): item for key, item in arrays.items() if key.startswith(prefix)
    }
    return entries or None
