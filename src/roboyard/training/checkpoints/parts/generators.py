"""Generators of the process, of the action space and of the exploration noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import ActionNoise, VectorizedActionNoise

from roboyard.training import seeding
from roboyard.training.checkpoints.parts.base import (
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)


class GeneratorsPart:
    """Everything random outside the environments."""

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Own the generators that ``algorithm`` draws from."""
        self._algorithm = algorithm

    def save(self, folder: Path) -> None:
        """Write ``generators.json`` and ``generators.npz``."""
        states = seeding.capture_generators()
        numpy_state: dict[str, Any] = dict(states.numpy)
        words = dict(numpy_state.pop("state"))
        arrays = {
            "numpy": np.asarray(words.pop("key")),
            "torch": states.torch.numpy(),
            **{f"cuda/{i}": state.cpu().numpy() for i, state in enumerate(states.cuda)},
            **{f"noise/{i}": value for i, value in enumerate(_noise_values(self._algorithm))},
        }
        write_arrays(folder / "generators.npz", arrays)
        described = {
            "python": states.python,
            "numpy": {**numpy_state, "state": words},
            "action_space": _jsonable(self._algorithm.action_space.np_random.bit_generator.state),
        }
        write_json(folder / "generators.json", described)

    def load(self, folder: Path) -> None:
        """Put every generator back."""
        import torch

        arrays = read_arrays(folder / "generators.npz")
        described: dict[str, Any] = read_json(folder / "generators.json")
        numpy_state = described["numpy"]
        numpy_state["state"]["key"] = arrays["numpy"]
        version, words, gauss = described["python"]
        count = sum(name.startswith("cuda/") for name in arrays)
        cuda = [arrays[f"cuda/{index}"] for index in range(count)]  # by number, not by name
        seeding.restore_generators(
            seeding.GeneratorStates(
                (version, tuple(words), gauss),
                numpy_state,
                torch.from_numpy(arrays["torch"]),
                tuple(torch.from_numpy(state) for state in cuda),
            )
        )
        bit_generator = self._algorithm.action_space.np_random.bit_generator
        bit_generator.state = _from_jsonable(described["action_space"])
        for index, noise in enumerate(_noises(self._algorithm)):
            if hasattr(noise, "noise_prev"):
                noise.noise_prev = arrays[f"noise/{index}"]


def _noises(algorithm: BaseAlgorithm) -> list[ActionNoise]:
    noise = algorithm.action_noise
    if noise is None:
        return []
    return list(noise.noises) if isinstance(noise, VectorizedActionNoise) else [noise]


def _noise_values(algorithm: BaseAlgorithm) -> list[np.ndarray[Any, np.dtype[Any]]]:
    """Return the memory of each correlated noise; white noise has none."""
    return [np.asarray(getattr(noise, "noise_prev", 0.0)) for noise in _noises(algorithm)]


def _jsonable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return {"__array__": value.tolist(), "dtype": str(value.dtype)}
    return value.item() if isinstance(value, np.generic) else value


def _from_jsonable(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict) and "__array__" in value:
        return np.array(value["__array__"], dtype=value["dtype"])
    if isinstance(value, dict):
        return {key: _from_jsonable(item) for key, item in value.items()}
    return value
