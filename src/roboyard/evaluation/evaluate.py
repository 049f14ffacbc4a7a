"""One call from the name of a policy to its evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from roboyard.config.schema import EnvConfig
from roboyard.evaluation.episodes import EpisodeRecord
from roboyard.evaluation.evaluator import Evaluator
from roboyard.evaluation.policies import resolve_subject
from roboyard.evaluation.result import EvaluationResult
from roboyard.policies.bundle.locate import Which


def evaluate_policy_spec(
    policy: str | Path,
    env: EnvConfig | None = None,
    *,
    episodes: int = 20,
    num_envs: int = 4,
    seed: int = 0,
    deterministic: bool = True,
    which: Which = "best",
    trust_code: bool = False,
    on_episode: Callable[[EpisodeRecord], None] | None = None,
) -> EvaluationResult:
    """Evaluate the policy that a text names.

    Args:
        policy: A run or a bundle (a path, or an address such as ``s3://bucket/policy.zip``),
            ``"random"``, ``"zero"`` or ``"module:function"``.
        env: The environment; by default the one that the policy was trained in.
        episodes: How many episodes.
        num_envs: How many run side by side; the result does not depend on it.
        seed: Seed of the episodes.
        deterministic: Ask for the most likely action instead of a sample.
        which: A run directory's best or its last policy.
        trust_code: Whether ``"module:Class"`` code that a bundle file names may be imported.
        on_episode: Called as each episode ends.

    Raises:
        ConfigError: The text names nothing, or ``env`` is needed and missing.
        PolicyError: The policy cannot be read, does not fit the environment, or fails.
    """
    subject = resolve_subject(policy, env, which=which, seed=seed, trust_code=trust_code)
    with Evaluator(
        subject.env, episodes=episodes, num_envs=num_envs, seed=seed, deterministic=deterministic
    ) as evaluator:
        return evaluator.evaluate(subject.policy, on_episode)
