"""Networks, optimisers and the other tensors of an algorithm."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.save_util import recursive_getattr

from roboyard.training.checkpoints.parts.base import read_torch, write_torch

POLICY_FILE = "policy.safetensors"
_EXPLORATION = ("exploration_mat", "exploration_matrices")


class LearnerPart:
    """Policy and target networks, optimisers, entropy coefficient, gSDE's noise."""

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        """Own the tensors of ``algorithm``."""
        self._algorithm = algorithm

    def save(self, folder: Path) -> None:
        """Write ``policy.safetensors``, ``optimizers.pt`` and ``tensors.safetensors``."""
        parameters = self._algorithm.get_parameters()
        _write_tensors(folder / POLICY_FILE, parameters.pop("policy"))
        write_torch(folder / "optimizers.pt", parameters)
        _write_tensors(folder / "tensors.safetensors", self._tensors())

    def load(self, folder: Path) -> None:
        """Put all of it back, in place."""
        device = self._algorithm.device
        parameters = read_torch(folder / "optimizers.pt", device)
        parameters["policy"] = safetensors.torch.load_file(folder / POLICY_FILE, device=str(device))
        self._algorithm.set_parameters(parameters, exact_match=True, device=device)  # type: ignore[arg-type]
        saved = safetensors.torch.load_file(folder / "tensors.safetensors", device=str(device))
        for name, tensor in saved.items():
            self._put(name, tensor)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors that are in no network."""
        _, names = self._algorithm._get_torch_save_params()
        tensors = {name: recursive_getattr(self._algorithm, name) for name in names}
        weights = getattr(self._algorithm, "weights", None)  # ARS keeps its policy as a vector
        if isinstance(weights, torch.Tensor):
            tensors["weights"] = weights
        noise = exploration_noise(self._algorithm)
        if noise is not None:
            tensors |= {f"gsde.{name}": getattr(noise, name) for name in _EXPLORATION}
        return tensors

    def _put(self, name: str, tensor: torch.Tensor) -> None:
        if name.startswith("gsde."):
            setattr(exploration_noise(self._algorithm), name.removeprefix("gsde."), tensor)
        elif name == "weights":
            self._algorithm.weights = tensor  # type: ignore[attr-defined]
        else:
            recursive_getattr(self._algorithm, name).data.copy_(tensor)


def exploration_noise(algorithm: BaseAlgorithm) -> StateDependentNoiseDistribution | None:
    """Return the distribution that holds gSDE's exploration matrices, if gSDE is used."""
    owner = getattr(algorithm.policy, "actor", None) or algorithm.policy
    distribution = getattr(owner, "action_dist", None)
    uses_it = isinstance(distribution, StateDependentNoiseDistribution)
    return distribution if uses_it else None


def _write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    # Clones, because safetensors refuses tensors that share memory (shared extractors do).
    copies = {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }
    path.write_bytes(safetensors.torch.save(copies))
