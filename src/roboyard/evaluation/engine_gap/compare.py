"""All parts of the comparison, for one policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stable_baselines3.common.type_aliases import PolicyPredictor

from roboyard.config.schema import EnvConfig
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError
from roboyard.evaluation.engine_gap.environments import in_engine, task_env
from roboyard.evaluation.engine_gap.open_loop import OpenLoopGap, TermGap, open_loop, term_gaps
from roboyard.evaluation.engine_gap.static import StaticDifference, differences, static_facts
from roboyard.evaluation.evaluator import Evaluator
from roboyard.evaluation.policies import resolve_subject
from roboyard.evaluation.result import EvaluationResult
from roboyard.policies.bundle.locate import Which
from roboyard.sim.engines import ENGINES
from roboyard.sim.rows import Floats

_SECONDS = 2.0
_FRAMES = 200


@dataclass(frozen=True)
class GapReport:
    """What a policy's task and the policy itself do in two engines."""

    label: str
    """The policy."""
    engines: tuple[str, ...]
    """The engines, the first as the reference."""
    differences: list[StaticDifference]
    """In what the task differs before a step."""
    allowed: frozenset[str]
    """Kinds of differences that were allowed."""
    open_loop: list[OpenLoopGap]
    """Drift under the same torques."""
    terms: list[TermGap]
    """Reward terms on the same actions."""
    results: dict[str, EvaluationResult]
    """The policy in each engine."""

    @property
    def refused(self) -> list[StaticDifference]:
        """Differences that were not allowed."""
        return [found for found in self.differences if found.kind not in self.allowed]


def compare_engines(
    policy: str | Path,
    engines: Sequence[str] = ("pybullet", "mujoco"),
    *,
    env: EnvConfig | None = None,
    episodes: int = 20,
    seed: int = 0,
    allowed: Sequence[str] = (),
    which: Which = "best",
    trust_code: bool = False,
    on_part: Callable[[str], None] = lambda _: None,
) -> GapReport:
    """Measure the gap between two engines.

    Args:
        policy: A run or a bundle, ``"random"`` or ``"zero"``.
        engines: Two engines.
        env: The task; by default the one that the policy was trained in.
        episodes: How many episodes in each engine.
        seed: Seed of episodes, torques and resets.
        allowed: Kinds of static differences that are no failure.
        which: A run directory's best or its last policy.
        trust_code: Whether code that a bundle names may be imported.
        on_part: Told the name of each part as it begins.

    Raises:
        ConfigError: Not two different engines were named, or the environment is no task.
    """
    if len(engines) != 2 or engines[0] == engines[1]:
        raise ConfigError(f"engines are {', '.join(engines) or 'none'}; name two different ones, "
                          f"such as {', '.join(ENGINES.names()[::-1])}.")  # fmt: skip
    subject = resolve_subject(policy, env, which=which, seed=seed, trust_code=trust_code)
    envs = [task_env(subject.env, engine) for engine in engines]
    try:
        on_part("static parity")
        found = differences([static_facts(one) for one in envs])
        on_part("open loop")
        drifts = [open_loop(envs, place, _SECONDS, seed) for place in ("air", "contact")]
        on_part("reward terms")
        terms = term_gaps(envs, _actions(envs[0], subject.policy, seed), seed)
    finally:
        for one in envs:
            one.close()
    results = {}
    for engine in engines:
        on_part(f"closed loop in {engine}")
        with Evaluator(in_engine(subject.env, engine), episodes=episodes, seed=seed) as evaluator:
            results[engine] = evaluator.evaluate(subject.policy)
    return GapReport(
        subject.label, tuple(engines), found, frozenset(allowed), drifts, terms, results
    )


def _actions(env: TaskEnv, policy: PolicyPredictor, seed: int) -> Floats:
    """Return the policy's actions in the first engine, up to the end of one episode."""
    observation, _ = env.reset(seed=seed)
    actions = []
    for _ in range(_FRAMES):
        batch = (
            {name: part[None] for name, part in observation.items()}
            if isinstance(observation, dict)
            else observation[None]
        )
        action = policy.predict(batch, deterministic=True)[0][0]
        actions.append(action)
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            break
    return np.array(actions)
