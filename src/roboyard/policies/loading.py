"""From a path or an address to a policy that is ready to act."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from roboyard.policies.bundle.locate import find_bundle
from roboyard.policies.bundle.origin import is_trusted
from roboyard.policies.bundle.policy_bundle import PolicyBundle

if TYPE_CHECKING:
    from roboyard.policies.loaded import LoadedPolicy


def load_policy(
    source: str | Path, *, device: str = "cpu", trust_code: bool | None = None
) -> LoadedPolicy:
    """Load a trained policy, ready to act.

    Args:
        source: A bundle, or a run, of which the best policy is taken, else the last; a path, or
            an address in a store such as ``s3://bucket/runs/ant/r1``.
        device: Where the network lives.
        trust_code: Whether code that the config names as ``"module:Class"`` may be imported. By
            default it may for a run directory that you made on this machine, and not for another
            one, a single bundle or what is in a store.

    Raises:
        PolicyError: There is no policy at ``source``, or it is damaged.
        StorageError: The store cannot be read.
    """
    if trust_code is None:
        trust_code = is_trusted(source)
    return PolicyBundle.read(find_bundle(source)).policy(device=device, trust_code=trust_code)
