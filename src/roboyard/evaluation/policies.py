"""From a text to a policy: a run, a bundle, a baseline, or the user's own function."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import gymnasium
from stable_baselines3.common.type_aliases import PolicyPredictor

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import make_env
from roboyard.errors import ConfigError
from roboyard.evaluation.scripted import FunctionPolicy, RandomPolicy, ZeroPolicy
from roboyard.policies.bundle.assets import relocated_env
from roboyard.policies.bundle.locate import Which, find_bundle, is_uri
from roboyard.policies.bundle.origin import is_own
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.registry import resolve_entry, suggest

ACCEPTED = (
    "a run directory, a policy bundle (.zip), either of them in a store (s3://...), 'random', "
    "'zero', or 'module:function' (a function from one observation to one action)"
)


class EvaluationSubject(NamedTuple):
    """What is to be evaluated, and where."""

    policy: PolicyPredictor
    env: EnvConfig
    label: str


def resolve_policy(
    spec: str | Path,
    env: EnvConfig | None = None,
    *,
    which: Which = "best",
    seed: int = 0,
    trust_code: bool = False,
) -> PolicyPredictor:
    """Return the policy that a text names.

    Args:
        spec: ``"random"``, ``"zero"``, ``"module:function"``, or a run or bundle, as a path or as
            an address in a store.
        env: The environment, needed by ``"random"`` and ``"zero"`` for its action space.
        which: A run directory's best or its last policy.
        seed: Seed of ``"random"``.
        trust_code: Whether ``"module:Class"`` code that a bundle file names may be imported; for
            a run directory that you made on this machine it always may.

    Raises:
        ConfigError: The text names nothing, or ``env`` is needed and missing.
        PolicyError: The run has no policy yet, or the bundle is damaged.
    """
    if _is_place(spec):
        bundle = PolicyBundle.read(find_bundle(spec, which))
        return bundle.policy(trust_code=trust_code or _is_own(spec, bundle))
    return _named_policy(str(spec), env, seed)


def resolve_subject(
    spec: str | Path,
    env: EnvConfig | None = None,
    *,
    which: Which = "best",
    seed: int = 0,
    trust_code: bool = False,
) -> EvaluationSubject:
    """Return the policy that a text names and the environment to run it in.

    Args:
        spec: As for ``resolve_policy``.
        env: The environment; by default the one that the policy was trained in.
        which: A run directory's best or its last policy.
        seed: Seed of ``"random"``.
        trust_code: Whether ``"module:Class"`` code that a bundle file names may be imported; for
            a run directory that you made on this machine it always may.

    Raises:
        ConfigError: The text names nothing, or ``env`` is needed and missing.
        PolicyError: The run has no policy yet, or the bundle is damaged.
    """
    if _is_place(spec):
        file = find_bundle(spec, which)
        bundle = PolicyBundle.read(file)
        trusted = trust_code or _is_own(spec, bundle)
        env = env or relocated_env(bundle, trusted=trusted)
        return EvaluationSubject(bundle.policy(trust_code=trusted), env, file)
    policy = _named_policy(str(spec), env, seed)
    if env is None:
        raise _environment_needed(str(spec))
    return EvaluationSubject(policy, env, str(spec))


def _named_policy(spec: str, env: EnvConfig | None, seed: int) -> PolicyPredictor:
    if spec in ("random", "zero"):
        if env is None:
            raise _environment_needed(spec)
        space = _action_space(env)
        return RandomPolicy(space, seed) if spec == "random" else ZeroPolicy(space)
    if ":" in spec:
        return _user_policy(spec)
    kind = "does not exist" if "/" in spec or spec.endswith(".zip") else "is not a policy"
    raise ConfigError(f"'{spec}' {kind}. Give {ACCEPTED}.{suggest(spec, ('random', 'zero'))}")


def _user_policy(spec: str) -> PolicyPredictor:
    target = resolve_entry(spec, "policy")
    if isinstance(target, type) and hasattr(target, "predict"):
        target = target()
    if hasattr(target, "predict"):
        return cast("PolicyPredictor", target)
    if not callable(target):
        raise ConfigError(
            f"policy '{spec}' is a {type(target).__name__}. It must be a function from one "
            "observation to one action, or an object with a predict method."
        )
    return FunctionPolicy(target, spec)


def _action_space(env: EnvConfig) -> gymnasium.Space[Any]:
    made = make_env(env)
    try:
        return made.action_space
    finally:
        made.close()


def _environment_needed(spec: str) -> ConfigError:
    return ConfigError(
        f"policy '{spec}' does not say in which environment it runs. Name a config that does, "
        "with --config or the env argument."
    )


def _is_own(spec: str | Path, bundle: PolicyBundle) -> bool:
    folder = Path(spec)
    return folder.is_dir() and is_own(folder, bundle)


def _is_place(spec: str | Path) -> bool:
    """Return whether a text names a place and no baseline or function."""
    return isinstance(spec, Path) or is_uri(spec) or Path(spec).exists()
