"""Channels: what happens to numbers between a sensor and the policy, or the policy and motors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboyard.config.tasks import ChannelConfig
from roboyard.envs.managers.sampling import draw, draw_one

Floats = NDArray[np.float64]


class Channel:
    """Adds bias and noise, rounds, delays and drops; see ``ChannelConfig``."""

    def __init__(self, config: ChannelConfig) -> None:
        """Begin as a perfect channel, until :meth:`reset`."""
        self.config = config
        """What it does; may be replaced between episodes."""
        self._generator = np.random.default_rng(0)
        self._bias: Floats | None = None
        self._delay = 0
        self._underway: list[Floats] = []
        self._arrived: Floats | None = None

    def use(self, generator: np.random.Generator) -> None:
        """Draw from ``generator`` from now on."""
        self._generator = generator

    def reset(self, size: int) -> dict[str, Any]:
        """Start an episode for ``size`` numbers; return what was drawn for all of it."""
        self._bias = draw(self.config.bias, self._generator, size)
        self._delay = round(draw_one(self.config.delay_steps, self._generator))
        self._underway = []
        self._arrived = None
        return {"bias": self._bias.tolist(), "delay_steps": self._delay}

    def __call__(self, values: Floats) -> Floats:
        """Return what arrives in this control step, when ``values`` are sent.

        What is sent first counts as having been sent all the time before.
        """
        sent = self._spoiled(values)
        self._underway.append(sent)
        due = self._underway[0] if len(self._underway) <= self._delay else self._underway.pop(0)
        drop = self.config.drop
        if drop and self._generator.random() < drop and self._arrived is not None:
            return self._arrived
        self._arrived = due
        return due

    def _spoiled(self, values: Floats) -> Floats:
        sent: Floats = np.array(values, dtype=np.float64)
        if self._bias is not None:
            sent += self._bias
        if self.config.noise != 0.0:
            sent += draw(self.config.noise, self._generator, sent.size)
        step = self.config.quantization
        return np.round(sent / step) * step if step else sent

    def get_state(self) -> dict[str, Any]:
        """Return what snapshots need."""
        return {
            "bias": self._bias,
            "delay": self._delay,
            "underway": list(self._underway),
            "arrived": self._arrived,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`get_state` returned."""
        self._bias = state["bias"]
        self._delay = state["delay"]
        self._underway = list(state["underway"])
        self._arrived = state["arrived"]
