"""The numbers of a task that curricula can change, by their place in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from pydantic import FiniteFloat

from roboyard.config.base import Record
from roboyard.config.tasks import ChannelConfig
from roboyard.envs.managers.binding import BoundTerm
from roboyard.envs.managers.curriculum import Knob
from roboyard.envs.managers.managers import RewardManager
from roboyard.envs.managers.sensor_model import Channel


class Weight(Record):
    """The number of a reward term that is no parameter."""

    weight: FiniteFloat
    """Factor on the term's value."""


def make_knobs(
    terms: Mapping[str, Iterable[BoundTerm]],
    rewards: RewardManager,
    channels: Mapping[str, Channel],
) -> dict[str, Knob]:
    """Return everything that can change: parameters, weights, sensors and acting."""
    found = {
        f"{place}.{term.name}.params": Knob(term.record, term.change)
        for place, group in terms.items()
        for term in group
        if term.live.keys() & term.tunable
    }
    for index, name in enumerate(rewards.names):
        found[f"rewards.{name}"] = Knob(
            Weight(weight=rewards.weights[index]), _weigher(rewards, index)
        )
    for name, channel in channels.items():
        place = name if name == "acting" else f"{name}.sensor"
        found[place] = Knob(channel.config, _tuner(channel))
    # Longer places first, so that rewards.x.params is not taken for a number of rewards.x.
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _weigher(rewards: RewardManager, index: int) -> Callable[[Record], None]:
    def turn(record: Record) -> None:
        rewards.weights[index] = cast("Weight", record).weight

    return turn


def _tuner(channel: Channel) -> Callable[[Record], None]:
    def turn(record: Record) -> None:
        channel.config = cast("ChannelConfig", record)

    return turn
