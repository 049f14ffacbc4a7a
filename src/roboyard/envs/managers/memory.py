"""What terms remember, and the commands they are given: for resets and snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from roboyard.config.tasks import CommandConfig
from roboyard.envs.managers.binding import BoundTerm, bind
from roboyard.envs.managers.registry import COMMANDS, StatefulTerm, TermSetup
from roboyard.envs.mdp.commands import CommandContext
from roboyard.errors import ConfigError
from roboyard.robots import RobotState


class Memories:
    """The terms that have a memory, kept for resets and snapshots."""

    def __init__(self, terms: Mapping[str, Iterable[BoundTerm]]) -> None:
        """Collect them from lists of terms, by the list's name."""
        self._terms: dict[str, StatefulTerm] = {
            f"{place}.{term.name}": term.memory
            for place, group in terms.items()
            for term in group
            if term.memory is not None
        }
        self._resets = [term.reset for term in self._terms.values()]

    def reset(self, state: RobotState) -> None:
        """Start an episode."""
        for reset in self._resets:
            reset(state)

    def get_state(self) -> dict[str, object]:
        """Return all memories."""
        return {name: term.get_state() for name, term in self._terms.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what ``get_state`` returned."""
        for name, term in self._terms.items():
            term.set_state(state[name])


class CommandManager:
    """Writes the present commands into the record."""

    def __init__(self, configs: Mapping[str, CommandConfig], setup: TermSetup) -> None:
        """Bind the commands.

        Raises:
            ConfigError: A command is a function; it has to be a class.
        """
        self.terms = [
            bind(COMMANDS, "commands", name, config, setup) for name, config in configs.items()
        ]
        for term in self.terms:
            if term.memory is None:
                raise ConfigError(
                    f"commands.{term.name}: a command has to be a class with reset(context), "
                    "__call__(context), get_state() and set_state(state)."
                )

    def reset(self, state: RobotState, generator: np.random.Generator) -> None:
        """Draw the commands of a new episode."""
        context = CommandContext(state, generator)
        for term in self.terms:
            memory: Any = term.memory
            state.commands[term.name] = memory.reset(context)

    def advance(self, state: RobotState, generator: np.random.Generator) -> None:
        """Let commands go on to the next control step."""
        context = CommandContext(state, generator)
        for term in self.terms:
            state.commands[term.name] = term.call(context)

    def changed(self) -> list[str]:
        """Return the names of the commands that were drawn anew in the last control step."""
        return [term.name for term in self.terms if getattr(term.memory, "was_drawn", False)]
