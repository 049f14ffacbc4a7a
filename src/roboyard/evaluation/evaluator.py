"""The evaluator: N episodes with fixed seeds over M environments, whatever the policy."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv

from roboyard.config.schema import EnvConfig
from roboyard.envs.vector.factory import make_vec_env
from roboyard.errors import ConfigError, SimulationError
from roboyard.evaluation import generators
from roboyard.evaluation.episodes import RECORD_KEY, EpisodeRecord
from roboyard.evaluation.fit import check_spaces
from roboyard.evaluation.parallel_rollouts import Lanes
from roboyard.evaluation.result import EvaluationResult
from roboyard.evaluation.stopping import ShouldStop, refuse_to_go_on
from roboyard.seeds import derive_seeds

__all__ = ["EvaluationResult", "Evaluator", "PolicyPredictor"]

LONG_STEPS, ENDLESS_STEPS = 10_000, 100_000
"""Control steps of an episode without a time limit at which it is named, and refused."""
_LOG = logging.getLogger(__name__)

Workers = int | Literal["auto"]
"""How many worker processes."""


class Evaluator:
    """Runs whole episodes with fixed seeds and summarises them.

    Episode ``k`` starts from the ``k``-th evaluation seed and runs on copy ``k % num_envs``,
    so the result depends neither on ``num_envs`` nor on which episodes are short. The
    environment is created at the first evaluation and kept for the next ones; earlier
    evaluations do not influence later ones. The global random generators are left as found.

    Example::

        with Evaluator(config.env, episodes=20) as evaluator:
            print(evaluator.evaluate(policy).mean)
    """

    def __init__(
        self,
        env: EnvConfig,
        *,
        episodes: int = 20,
        num_envs: int = 4,
        seed: int = 0,
        deterministic: bool = True,
        workers: Workers | None = None,
    ) -> None:
        """Create an evaluator; nothing is started yet.

        Args:
            env: The environment. Its normalisation is the policy's business and is ignored.
            episodes: How many episodes.
            num_envs: How many copies are stepped together.
            seed: Seed of the episodes, non-negative.
            deterministic: Ask for the most likely action instead of a sample.
            workers: Processes that step the copies, 0 for none, ``"auto"`` for what is fastest;
                by default as ``env`` says. The result does not depend on it.

        Raises:
            ConfigError: A number is out of range.
        """
        for name, value, least in (
            ("episodes", episodes, 1),
            ("num_envs", num_envs, 1),
            ("seed", seed, 0),
            ("workers", workers if isinstance(workers, int) else 0, 0),
        ):
            if value < least:
                raise ConfigError(f"{name} is {value}; it must be at least {least}.")
        self.deterministic = deterministic
        self._config = env
        self._num_envs = min(num_envs, episodes)
        self._workers: Workers = env.workers if workers is None else workers
        self._seeds = derive_seeds(seed, "evaluation", episodes)
        self._policy_seeds = derive_seeds(seed, "evaluation-policy", episodes)
        self._venv: VecEnv | None = None
        self._finalizer: Callable[[], object] | None = None
        self._played = False

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The environment's observation space."""
        return self._environment().observation_space

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """The environment's action space."""
        return self._environment().action_space

    def evaluate(
        self,
        policy: PolicyPredictor,
        on_episode: Callable[[EpisodeRecord], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> EvaluationResult:
        """Run all episodes.

        Args:
            policy: Anything with SB3's ``predict``; it normalises observations itself.
            on_episode: Called as each episode ends, in the order in which they end.
            should_stop: Asked at every step; true ends the evaluation.

        Raises:
            PolicyError: The policy does not fit the environment, fails, or returns actions
                that are not finite or of the wrong shape.
            SimulationError: A reward is not finite.
            ConfigError: An episode without a time limit does not end.
            StoppedError: ``should_stop`` said so.
        """
        try:
            with generators.preserved():
                generators.seeded(self._policy_seeds[0])
                venv = self._fresh_environment()
                check_spaces(policy, venv.observation_space, venv.action_space)
                lanes = Lanes(
                    policy,
                    venv.action_space,
                    self._num_envs,
                    self.deterministic,
                    self._policy_seeds,
                )
                records = self._run(venv, lanes, on_episode, should_stop)
        except BaseException:
            self.close()
            raise
        return EvaluationResult.from_episodes(sorted(records))

    def close(self) -> None:
        """Close the environment; a later evaluation opens a new one."""
        self._venv, self._played = None, False
        if self._finalizer is not None:
            self._finalizer()
            self._finalizer = None

    def __enter__(self) -> Evaluator:
        """Return the evaluator itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the environment."""
        del kind, error, trace  # Unused.
        self.close()

    def _fresh_environment(self) -> VecEnv:
        """Return the environment as if no episode had been played in it."""
        venv = self._environment()
        if self._played and not venv.has_attr("snapshot"):
            # Its episodes may depend on those before; a continued run would have other ones.
            self.close()
            venv = self._environment()
        self._played = True
        return venv

    def _environment(self) -> VecEnv:
        """Return the environment, created at the first call."""
        if self._venv is None:
            seeded = EnvConfig(
                id="roboyard.evaluation.episodes:SeededEpisodes",
                kwargs={"config": self._config.model_dump(mode="json")},
            )
            self._venv = make_vec_env(
                seeded,
                num_envs=self._num_envs,
                seeds=self._seeds[: self._num_envs],
                workers=self._workers,
                infos="ends",
            )
            # An evaluator that is dropped without close() must not leak its environment.
            self._finalizer = weakref.finalize(self, self._venv.close)
        return self._venv

    def _run(
        self,
        venv: VecEnv,
        lanes: Lanes,
        on_episode: Callable[[EpisodeRecord], None] | None,
        should_stop: ShouldStop | None,
    ) -> list[EpisodeRecord]:
        count = len(self._seeds)
        queues = [list(range(copy, count, self._num_envs)) for copy in range(self._num_envs)]
        for copy, queue in enumerate(queues):
            pairs = [(episode, self._seeds[episode]) for episode in queue]
            venv.env_method("begin", pairs, indices=[copy])
        starting: list[int | None] = [queue.pop(0) for queue in queues]
        active = np.ones(self._num_envs, dtype=bool)
        watch = _LengthWatch(venv, self._config.id, self._num_envs)
        records: list[EpisodeRecord] = []
        observations = venv.reset()
        while len(records) < count:
            refuse_to_go_on(should_stop, "an evaluation")
            actions = lanes.act(observations, starting, active)
            observations, _, dones, infos = venv.step(actions)
            watch.step(dones, active)
            starting = [None] * self._num_envs
            for copy in np.flatnonzero(dones).tolist():
                records.append(self._checked(infos[copy][RECORD_KEY]))
                if on_episode is not None:
                    on_episode(records[-1])
                active[copy] = bool(queues[copy])
                starting[copy] = queues[copy].pop(0) if queues[copy] else None
        return records

    def _checked(self, record: EpisodeRecord) -> EpisodeRecord:
        if not np.isfinite(record.total_reward):
            raise SimulationError(
                f"environment '{self._config.id}' returned a reward that is not finite in "
                f"evaluation episode {record.number} (seed {self._seeds[record.number]})."
            )
        return record


class _LengthWatch:
    """Names episodes that do not end, where nothing limits their length."""

    def __init__(self, venv: VecEnv, name: str, num_envs: int) -> None:
        self._venv = venv
        self._name = name
        self._lengths = np.zeros(num_envs, dtype=np.int64)
        self._next: int | None = LONG_STEPS

    def step(self, dones: NDArray[np.bool_], active: NDArray[np.bool_]) -> None:
        """Count a step of all copies.

        Raises:
            ConfigError: An episode was too long.
        """
        self._lengths += 1
        self._lengths[dones | ~active] = 0
        longest = int(self._lengths.max())
        if self._next is None or longest < self._next:
            return
        if self._venv.env_method("has_time_limit", indices=[0])[0]:
            self._next = None
            return
        text = (
            f"an evaluation episode of environment '{self._name}' has not ended after {longest:,} "
            "control steps, and nothing limits its length. Set env.max_episode_steps, to a larger "
            "number if its episodes are so long."
        )
        if longest >= ENDLESS_STEPS:
            raise ConfigError(text)
        self._next = ENDLESS_STEPS
        _LOG.warning("%s At %s steps the evaluation ends with an error.", text, f"{self._next:,}")
