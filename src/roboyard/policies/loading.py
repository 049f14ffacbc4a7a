"""Finding the policy that a path stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from roboyard.errors import PolicyError
from roboyard.policies.bundle import PolicyBundle
from roboyard.storage.run_directory import RunDirectory

if TYPE_CHECKING:
    from roboyard.policies.loaded import LoadedPolicy

ACCEPTED = (
    "a policy bundle (such as <run>/policy/best.zip) or a run directory "
    "(<store>/<name>/<run-id>, with policy/best.zip or policy/last.zip in it)"
)


def load_policy(
    source: str | Path, *, device: str = "cpu", trust_code: bool | None = None
) -> LoadedPolicy:
    """Load a trained policy, ready to act.

    Args:
        source: A bundle, or a run directory, of which the best policy is taken, else the last.
        device: Where the network lives.
        trust_code: Whether code that the config names as ``"module:Class"`` may be imported. By
            default it may for a run directory, which is yours, and not for a single bundle.

    Raises:
        PolicyError: There is no policy at ``source``, or it is damaged.
    """
    bundle = find_bundle(source)
    if trust_code is None:
        trust_code = Path(source).is_dir()
    return PolicyBundle.read(bundle).policy(device=device, trust_code=trust_code)


def find_bundle(source: str | Path) -> Path:
    """Return the bundle file that ``source`` stands for.

    Raises:
        PolicyError: There is none; the message lists what is accepted.
    """
    path = Path(source)
    if path.is_file():
        return path
    if not path.exists():
        raise PolicyError(f"no policy at '{source}': it does not exist. Give {ACCEPTED}.")
    run = RunDirectory(path)
    for bundle in (run.policy_best, run.policy_last):
        if bundle.is_file():
            return bundle
    if run.config_file.is_file():
        raise PolicyError(
            f"no policy at '{source}': the run has not written one yet. Let it reach its first "
            "evaluation or checkpoint."
        )
    raise PolicyError(f"no policy at '{source}': it is not a run directory. Give {ACCEPTED}.")
