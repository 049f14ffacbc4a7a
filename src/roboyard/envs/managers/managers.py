"""Lists of terms: they call each term once per control step, and put the results together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from roboyard.config.tasks import (
    EventConfig,
    MetricConfig,
    RewardTermConfig,
    TerminationTermConfig,
)
from roboyard.envs.managers.binding import BoundTerm, bind
from roboyard.envs.managers.registry import (
    EVENTS,
    REWARDS,
    TERMINATIONS,
    EventContext,
    TermSetup,
)
from roboyard.errors import ConfigError, RoboyardError
from roboyard.robots import RobotState


class RewardManager:
    """Sums the weighted reward terms, and keeps every one's share."""

    def __init__(self, configs: Mapping[str, RewardTermConfig], setup: TermSetup) -> None:
        """Bind the terms; those of weight 0 are left out."""
        active = {name: config for name, config in configs.items() if config.weight != 0}
        self.terms = [
            bind(REWARDS, "rewards", name, config, setup) for name, config in active.items()
        ]
        self.names = tuple(active)
        self.weights = [config.weight for config in active.values()]
        self.values: dict[str, float] = {}
        """Every term's weighted value in the last control step; a new table at each step."""
        self.sums = [0.0] * len(self.terms)
        """Sums of the weighted values since the reset."""
        self._calls = [(index, term.name, term.call) for index, term in enumerate(self.terms)]

    def reset(self) -> None:
        """Start an episode."""
        self.values = {}
        self.sums = [0.0] * len(self.terms)

    def compute(self, state: RobotState) -> float:
        """Return the reward of the control step that just ended."""
        total = 0.0
        self.values = values = {}
        sums, weights = self.sums, self.weights
        for index, name, call in self._calls:
            values[name] = value = weights[index] * call(state)
            sums[index] += value
            total += value
        return float(total)

    def episode_shares(self) -> dict[str, float]:
        """Return every term's sum of weighted values since the reset."""
        return dict(zip(self.names, self.sums, strict=True))


class MetricManager:
    """Follows numbers through an episode that are reported at its end."""

    def __init__(self, configs: Mapping[str, MetricConfig], setup: TermSetup) -> None:
        """Bind the terms, which are those of rewards."""
        self.terms = [
            bind(REWARDS, "metrics", name, config, setup) for name, config in configs.items()
        ]
        self._overs = [config.over for config in configs.values()]
        self._calls = list(zip(self._overs, [term.call for term in self.terms], strict=True))
        self._values = [0.0] * len(self.terms)

    def reset(self) -> None:
        """Start an episode."""
        self._values = [-math.inf if over == "largest" else 0.0 for over in self._overs]

    def compute(self, state: RobotState) -> None:
        """Take in the control step that just ended."""
        values = self._values
        for index, (over, call) in enumerate(self._calls):
            value = float(call(state))
            if over == "mean":
                values[index] += value
            elif over == "last" or value > values[index]:
                values[index] = value

    def report(self, steps: int) -> dict[str, float]:
        """Return every metric of an episode of ``steps`` control steps."""
        rows = zip(self.terms, self._overs, self._values, strict=True)
        return {t.name: value / steps if over == "mean" else value for t, over, value in rows}

    def get_state(self) -> list[float]:
        """Return what snapshots need."""
        return list(self._values)

    def set_state(self, state: list[float]) -> None:
        """Take over what ``get_state`` returned."""
        self._values = list(state)


class TerminationManager:
    """Tells whether an episode is over, and why."""

    def __init__(self, configs: Mapping[str, TerminationTermConfig], setup: TermSetup) -> None:
        """Bind the terms."""
        self.terms = [
            bind(TERMINATIONS, "terminations", name, config, setup)
            for name, config in configs.items()
        ]
        self.fired: tuple[str, ...] = ()
        """Names of the terms that ended the episode."""
        self.successes = frozenset(
            name for name, config in configs.items() if config.kind == "success"
        )
        """Names of the terms that mean success."""
        self._cuts = frozenset(
            name for name, config in configs.items() if config.kind == "truncation"
        )
        self.is_cut = False
        """Whether a term that means truncation ended the episode, and no other."""
        self._calls: list[tuple[str, Callable[[RobotState], bool]]] = [
            (term.name, term.call) for term in self.terms
        ]

    def reset(self) -> None:
        """Start an episode."""
        self.fired = ()
        self.is_cut = False

    def compute(self, state: RobotState) -> bool:
        """Return whether the episode ends by failure or success; all terms are asked."""
        fired = [name for name, call in self._calls if call(state)]
        self.fired = tuple(fired)
        self.is_cut = bool(fired) and self._cuts.issuperset(fired)
        return bool(fired) and not self.is_cut

    @property
    def is_success(self) -> bool:
        """Whether a term that means success ended the episode."""
        return not self.successes.isdisjoint(self.fired)


class EventManager:
    """Changes the robot and its surroundings at resets and now and then."""

    def __init__(self, configs: Mapping[str, EventConfig], setup: TermSetup) -> None:
        """Bind the events.

        Raises:
            ConfigError: An event's interval is missing, reversed, or given where none is.
        """
        for name, config in configs.items():
            _check_interval(name, config)
        self.terms = [
            bind(EVENTS, "events", name, config, setup) for name, config in configs.items()
        ]
        pairs = list(zip(self.terms, configs.values(), strict=True))
        self._at_reset = [term for term, config in pairs if config.on == "reset"]
        self._repeated = [
            (term, config.interval_s) for term, config in pairs if config.interval_s is not None
        ]
        self._period = setup.control_period
        self._due = [math.inf] * len(self._repeated)
        self.drawn: dict[str, Any] = {}
        """What the events drew last, by event."""
        self.happened: tuple[str, ...] = ()
        """Names of the events that happened before the present control step."""
        self.is_timed = bool(self._repeated)
        """Whether any event happens within episodes."""

    def reset(self, context: EventContext) -> None:
        """Let the reset events happen, in order, and draw when the others will."""
        self.drawn = {}
        for term in self._at_reset:
            self._happen(term, context)
        self._due = [context.generator.uniform(*interval) for _, interval in self._repeated]

    def tick(self, context: EventContext, step: int) -> None:
        """Let what is due happen, before control step ``step`` (from 1)."""
        self.happened = ()
        time = (step - 1) * self._period
        for index, (term, interval) in enumerate(self._repeated):
            if time >= self._due[index]:
                self._happen(term, context)
                self.happened += (term.name,)
                self._due[index] = time + context.generator.uniform(*interval)

    def try_all(self, context: EventContext) -> None:
        """Let every event happen, whenever it is due, to find those that cannot.

        Raises:
            RoboyardError: One cannot, such as a push on a robot with a fixed base.
        """
        for term in self.terms:
            self._happen(term, context)

    def get_state(self) -> dict[str, Any]:
        """Return what snapshots need."""
        return {"due": self._due, "drawn": self.drawn}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what ``get_state`` returned."""
        self._due = list(state["due"])
        self.drawn = dict(state["drawn"])

    def _happen(self, term: BoundTerm, context: EventContext) -> None:
        try:
            drawn = term.call(context)
        except RoboyardError as error:
            raise type(error)(f"events.{term.name}: {error}") from error
        if drawn:
            self.drawn[term.name] = drawn


def _check_interval(name: str, config: EventConfig) -> None:
    interval = config.interval_s
    if (interval is not None) != (config.on == "interval"):
        needs = "needs" if config.on == "interval" else "takes no"
        raise ConfigError(f"events.{name}: 'on: {config.on}' {needs} interval_s.")
    if interval is not None and interval[0] > interval[1]:
        raise ConfigError(f"events.{name}.interval_s: {interval[0]} is above {interval[1]}.")
