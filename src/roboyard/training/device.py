"""Where the networks live and how many threads torch uses."""

from __future__ import annotations

import logging
from typing import NamedTuple

import gymnasium

from roboyard.agents.algorithms import algorithm_class, family
from roboyard.agents.backends import BackendChoice, choose_backend, has_accelerator
from roboyard.agents.spaces import has_images
from roboyard.config.algorithm_specs import AlgorithmSpec
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError
from roboyard.resources import available_cores

_LOG = logging.getLogger(__name__)

LARGE_LAYER = 1024
"""A layer of this width or more is worth an accelerator."""
SMALL_LAYER = 128
"""Layers up to this width gain nothing from a second thread."""
MOST_THREADS = 4
"""Networks that are trained on a CPU gain nothing from more threads than this."""


class DeviceChoice(NamedTuple):
    """A device, and the reason for it."""

    device: str
    reason: str


def choose_device(
    config: ExperimentConfig, observation_space: gymnasium.Space[object]
) -> DeviceChoice:
    """Decide where the networks live.

    Raises:
        ConfigError: An accelerator is asked for and there is none.
    """
    wanted = config.train.device
    if config.train.data_parallel.workers > 1:
        return DeviceChoice("cpu", "several processes share the updates there")
    backend = choose_backend(config.agent).backend
    available = has_accelerator(backend)
    if wanted == "cuda" and not available:
        raise ConfigError(
            f"train.device is 'cuda', but {backend} finds no CUDA device on this machine. "
            f"Use 'auto' or 'cpu', or install a CUDA build of {backend} and its driver."
        )
    if wanted != "auto":
        return DeviceChoice(wanted, "the config says so")
    if not available:
        return DeviceChoice("cpu", f"{backend} finds no CUDA device")
    reason = _reason_for_accelerator(config, observation_space)
    if reason is None:
        return DeviceChoice(
            "cpu", "the networks are so small that copying to an accelerator costs more"
        )
    return DeviceChoice("cuda", reason)


def _reason_for_accelerator(
    config: ExperimentConfig, observation_space: gymnasium.Space[object]
) -> str | None:
    spec, widest = _family(config), _widest(config)
    if has_images(observation_space):
        return "convolutions on images are faster there"
    if widest >= LARGE_LAYER:
        return f"the networks have layers of {LARGE_LAYER} units or more"
    if config.agent.backend == "jax":
        one_call = (spec is not None and spec.kind == "on-policy") or widest > SMALL_LAYER
        return "a whole update is one call there, and acting stays on the CPU" if one_call else None
    if spec is not None and spec.in_graphs and widest > SMALL_LAYER:
        return "a step of the networks is launched as one graph there"
    return None


def resolve_backend(
    config: ExperimentConfig, observation_space: gymnasium.Space[object]
) -> ExperimentConfig:
    """Return the config with the backend that ``auto`` stands for on this machine."""
    if config.agent.backend != "auto":
        return config
    chosen = choose_backend(config.agent)
    if config.train.data_parallel.workers > 1 and chosen.backend == "jax":
        chosen = BackendChoice("torch", "jax trains in one process, and several are asked for")
    on_torch = config.with_backend("torch")
    if (
        chosen.backend == "jax"
        and has_accelerator("torch")
        and choose_device(on_torch, observation_space).device != "cpu"
        and _is_faster_on_torch(config, observation_space)
    ):
        chosen = BackendChoice("torch", "its graphs are the fastest on the accelerator here")
    _LOG.info("agent.backend is %s: %s.", *chosen)
    return config.with_backend(chosen.backend)


def _is_faster_on_torch(
    config: ExperimentConfig, observation_space: gymnasium.Space[object]
) -> bool:
    """Return which backend is the faster one on an accelerator; see docs/performance.md."""
    spec = _family(config)
    off_policy = spec is not None and spec.kind == "off-policy"
    sees = off_policy and has_images(observation_space)
    return not has_accelerator("jax") or sees or _widest(config) >= LARGE_LAYER


def choose_threads(
    config: ExperimentConfig, observation_space: gymnasium.Space[object], device: str
) -> int:
    """Return the threads of the learner's operations.

    They must not depend on anything measured, because other threads round differently. Networks
    up to ``SMALL_LAYER`` get one thread; for what is larger a core is left to each worker process.
    """
    if config.train.threads != "auto":
        return config.train.threads
    if device == "cuda" or (_widest(config) <= SMALL_LAYER and not has_images(observation_space)):
        return 1
    workers = 0 if config.env.workers == "auto" else config.env.workers
    cores = available_cores() // config.train.data_parallel.workers
    return max(1, min(cores - workers, MOST_THREADS))


def _family(config: ExperimentConfig) -> AlgorithmSpec | None:
    return family(algorithm_class(config.agent))


def _widest(config: ExperimentConfig) -> int:
    """Return the width of the widest layer, of the actor, the critic or the LSTM."""
    network, spec = config.agent.network, _family(config)
    default: tuple[int, ...] = (256,)
    actor, critic, lstm = (default, default, 0) if spec is None else spec.default_widths
    actor = actor if network.actor is None else network.actor
    critic = critic if network.critic is None else network.critic
    return max((*actor, *critic, network.lstm_size or lstm))
