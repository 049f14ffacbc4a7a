"""Whether a policy is one's own: it lies in a run directory that this user made on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from roboyard.config.files import read_text
from roboyard.config.yaml_text import parse
from roboyard.errors import ConfigError
from roboyard.policies.bundle.locate import Which, find_bundle
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.storage.seal import is_sealed

_ONE_MACHINES = ("workers",)
"""Keys of the environment that a continued run may change."""


def is_trusted(
    source: str | Path, *, which: Which = "best", trust_code: bool | None = False
) -> bool:
    """Return whether the code and the files that a policy names may be used.

    They may if the caller says so, or if ``source`` is a run directory whose config bears this
    user's seal (see ``roboyard.storage.seal``) and describes the environment and the agent that
    the bundle describes. A single bundle, or one in a store, is never trusted by itself.

    Args:
        source: As for ``find_bundle``.
        which: As for ``find_bundle``.
        trust_code: What the caller says; None is as False.

    Raises:
        PolicyError: There is no policy, or it is damaged.
        StorageError: The store cannot be read.
    """
    if trust_code:
        return True
    folder = Path(source)
    if not folder.is_dir():
        return False
    return is_own(folder, PolicyBundle.read(find_bundle(source, which)))


def is_own(run: Path, bundle: PolicyBundle) -> bool:
    """Return whether a bundle of a run directory acts as the run's sealed config says."""
    try:
        text = read_text(run / "config.yaml")
        if not is_sealed(text):
            return False
        own = parse(text, "config.yaml", fill_in=False).plain()
    except ConfigError:
        return False
    return isinstance(own, dict) and _acting(own) == _acting(bundle.manifest.config)


def _acting(config: Mapping[str, JsonValue]) -> list[object]:
    """Return the parts of a config by which a policy acts."""
    env = config.get("env")
    kept = {k: v for k, v in env.items() if k not in _ONE_MACHINES} if isinstance(env, dict) else {}
    return [kept, config.get("agent")]
