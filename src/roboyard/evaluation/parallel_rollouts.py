"""Actions for several copies of an environment, the same however many copies there are.

Two things make a policy's action for an observation depend on the other copies, and both are
designed out here:

* A matrix product rounds differently for batches of different sizes: on a CPU, batches of one
  and of eight differ in the last bits for most networks, and contacts amplify that. So every
  batch is filled up to the same size.
* Random draws are handed out in the order of the calls. So stochastic policies are asked for
  one observation at a time, with the random generators that belong to that episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs

from roboyard.errors import PolicyError, RoboyardError
from roboyard.evaluation import generators
from roboyard.evaluation.fit import policy_name

BLOCK_SIZE = 8
"""Observations in each batch; a row's result was never seen to depend on its place."""

State = tuple[NDArray[Any], ...]
"""A policy's memory between steps."""


@runtime_checkable
class SelfSeededPolicy(Protocol):
    """A policy with random generators of its own, kept in its state."""

    def initial_state(self, seed: int) -> State:
        """Return the state with which an episode starts."""


@dataclass
class _Block:
    """Copies that are asked for together; ``rows`` are their indices, filled up."""

    members: list[int]
    rows: list[int]
    state: State | None = None
    generators: generators.GeneratorStates | None = None


@dataclass
class Lanes:
    """Asks a policy for the actions of ``num_envs`` copies."""

    policy: PolicyPredictor
    action_space: gymnasium.Space[Any]
    num_envs: int
    deterministic: bool
    seeds: Sequence[int]
    """Seed for the policy's own randomness in each episode."""
    _blocks: list[_Block] = field(init=False)
    _actions: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        """Group the copies into blocks."""
        size = BLOCK_SIZE if self._batches else 1
        self._blocks = []
        for first in range(0, self.num_envs, size):
            members = list(range(first, min(first + size, self.num_envs)))
            self._blocks.append(_Block(members, members + [first] * (size - len(members))))
        shape = self.action_space.shape or ()
        self._actions = np.zeros((self.num_envs, *shape), dtype=self.action_space.dtype)

    @property
    def _batches(self) -> bool:
        return self.deterministic and not getattr(self.policy, "one_at_a_time", False)

    def act(
        self, observations: VecEnvObs, starting: Sequence[int | None], active: NDArray[np.bool_]
    ) -> NDArray[Any]:
        """Return one action per copy.

        Args:
            observations: Of all copies, batched as in a VecEnv.
            starting: For each copy the index of the episode that starts now, or None.
            active: For each copy whether it runs an episode; the others' actions are arbitrary.

        Raises:
            PolicyError: The policy fails, or its actions are not finite or not of the shape
                that the environment takes.
        """
        for block in self._blocks:
            if not any(active[member] for member in block.members):
                continue
            if not self._batches:
                self._switch(block, starting[block.members[0]])
            actions = self._predict(block, observations, starting)
            if not self._batches:
                block.generators = generators.capture()
            self._actions[block.members] = actions[: len(block.members)]
        return self._actions.copy()

    def _switch(self, block: _Block, episode: int | None) -> None:
        """Put the episode's generators in place, new ones where it starts."""
        if episode is not None:
            seed = self.seeds[episode]
            block.generators = generators.seeded(seed)
            if isinstance(self.policy, SelfSeededPolicy):
                block.state = self.policy.initial_state(seed)
        elif block.generators is not None:
            generators.restore(block.generators)

    def _predict(
        self, block: _Block, observations: VecEnvObs, starting: Sequence[int | None]
    ) -> NDArray[Any]:
        starts = np.array([starting[row] is not None for row in block.rows])
        name = policy_name(self.policy)
        try:
            answer, block.state = self.policy.predict(
                take_rows(observations, block.rows),  # type: ignore[arg-type]
                state=block.state,
                episode_start=starts,
                deterministic=self.deterministic,
            )
        except RoboyardError:
            raise
        except Exception as error:
            raise PolicyError(
                f"policy '{name}' failed to predict: {type(error).__name__}: {error}"
            ) from error
        return checked_actions(answer, len(block.rows), self.action_space, name)


def take_rows(observations: VecEnvObs, rows: Sequence[int]) -> VecEnvObs:
    """Return the given rows of a batch of observations, dictionaries and tuples included."""
    if isinstance(observations, dict):
        return {key: np.asarray(value)[rows] for key, value in observations.items()}
    if isinstance(observations, tuple):
        return tuple(np.asarray(value)[rows] for value in observations)
    taken: NDArray[Any] = np.asarray(observations)[rows]
    return taken


def checked_actions(
    answer: object, count: int, space: gymnasium.Space[Any], name: str
) -> NDArray[Any]:
    """Return a policy's answer as actions of the space, shape ``(count, *space.shape)``.

    Continuous actions are clipped to the space's bounds, as SB3's own policies do.

    Raises:
        PolicyError: It is not numeric, of another shape, not finite, or not in the space.
    """
    try:
        actions = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PolicyError(f"policy '{name}' returned actions that are not numbers.") from error
    wanted = (count, *(space.shape or ()))
    if actions.shape != wanted:
        raise PolicyError(
            f"policy '{name}' returned actions of shape {actions.shape} for {count} observations; "
            f"they must be of shape {wanted}, as the environment's action space is {space}."
        )
    finite = np.isfinite(actions).reshape(count, -1).all(axis=1)
    if not finite.all():
        bad = actions[~finite][0]
        raise PolicyError(f"policy '{name}' returned an action that is not finite: {bad}.")
    if isinstance(space, gymnasium.spaces.Box):
        clipped: NDArray[Any] = np.clip(np.asarray(answer), space.low, space.high)
        return clipped
    for action in actions:
        if not space.contains(action.astype(space.dtype)) or (action % 1).any():
            raise PolicyError(f"policy '{name}' returned action {action}, which is not in {space}.")
    return np.asarray(answer)
