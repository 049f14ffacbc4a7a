"""Where the networks live and how many threads torch uses."""

from __future__ import annotations

from typing import NamedTuple

import gymnasium

from roboyard.agents.backends import has_accelerator
from roboyard.agents.spaces import has_images
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError
from roboyard.resources import available_cores

LARGE_LAYER = 1024
"""A layer of this width or more is worth an accelerator."""
SMALL_LAYER = 128
"""Layers up to this width gain nothing from a second thread."""
MOST_THREADS = 4
"""Networks that are trained on a CPU gain nothing from more threads than this."""
IN_LANES = ("PPO", "SAC", "TD3")
"""Algorithms that let their networks learn side by side, or on an accelerator in graphs."""
DEFAULT_WIDTHS = {"PPO": 64, "A2C": 64, "TRPO": 64, "RecurrentPPO": 256, "ARS": 64, "TD3": 400}
"""Widest default layer of an algorithm; 256 of all others."""


class Choice(NamedTuple):
    """A device, and the reason for it."""

    device: str
    reason: str


def choose_device(config: ExperimentConfig, observation_space: gymnasium.Space[object]) -> Choice:
    """Decide where the networks live.

    Raises:
        ConfigError: An accelerator is asked for and there is none.
    """
    wanted = config.train.device
    available, backend = has_accelerator(config.agent), config.agent.backend
    if wanted == "cuda" and not available:
        raise ConfigError(
            f"train.device is 'cuda', but {backend} finds no CUDA device on this machine. "
            f"Use 'auto' or 'cpu', or install a CUDA build of {backend} and its driver."
        )
    if wanted != "auto":
        return Choice(wanted, "the config says so")
    if not available:
        return Choice("cpu", f"{backend} finds no CUDA device")
    reason = _reason_for_accelerator(config, observation_space)
    if reason is None:
        return Choice("cpu", "the networks are so small that copying to an accelerator costs more")
    return Choice("cuda", reason)


def _reason_for_accelerator(
    config: ExperimentConfig, observation_space: gymnasium.Space[object]
) -> str | None:
    algorithm, widest = config.agent.algorithm, _widest(config)
    if has_images(observation_space):
        return "convolutions on images are faster there"
    if widest >= LARGE_LAYER:
        return f"the networks have layers of {LARGE_LAYER} units or more"
    if config.agent.backend == "jax":
        # hopper-run's update on an H200: 14 us a control step, against some 200 us on a core.
        one_call = algorithm == "PPO" or widest > SMALL_LAYER
        return "a whole update is one call there, and acting stays on the CPU" if one_call else None
    if algorithm in IN_LANES and widest > SMALL_LAYER:
        # SAC's step on an H100: 1.2 ms, against 10 ms on cores beside it.
        return "a step of the networks is launched as one graph there"
    return None


class Threads(NamedTuple):
    """How the learner spreads over cores."""

    torch: int
    """Threads of each operation; another number rounds differently."""
    lanes: int
    """Networks that learn at a time; see ``roboyard.agents.fast``. Results do not depend on it."""


def choose_threads(
    config: ExperimentConfig, observation_space: gymnasium.Space[object], device: str
) -> Threads:
    """Return the threads of torch's operations, and of the learner.

    The first must not depend on anything measured, because other threads round differently.
    Networks up to ``SMALL_LAYER`` get one thread; larger ones two lanes if the algorithm has
    them, and still one thread an operation up to ``LARGE_LAYER``; for what is larger or has no
    lanes a core is left to each worker process.
    """
    cores = available_cores()
    sees_images = has_images(observation_space)
    in_lanes = config.agent.backend == "torch" and config.agent.algorithm in IN_LANES
    in_lanes = in_lanes and device != "cuda" and not sees_images
    if config.train.threads != "auto":
        lanes = min(config.train.threads, 2) if in_lanes else 1
        return Threads(config.train.threads // lanes, lanes)
    widest = _widest(config)
    if device == "cuda" or (widest <= SMALL_LAYER and not sees_images):
        return Threads(1, 1)
    if in_lanes and widest < LARGE_LAYER:
        return Threads(1, min(cores, 2))
    workers = 0 if config.env.workers == "auto" else config.env.workers
    threads = max(1, min(cores - workers, MOST_THREADS))
    return Threads(max(threads // 2, 1), min(threads, 2)) if in_lanes else Threads(threads, 1)


def _widest(config: ExperimentConfig) -> int:
    network = config.agent.network
    given = max((*(network.actor or ()), *(network.critic or ()), network.lstm_size or 0))
    return given or DEFAULT_WIDTHS.get(config.agent.algorithm, 256)
