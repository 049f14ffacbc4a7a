"""Where the time of a run went, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROFILE_FILE: Final = "profile.json"
"""Name of the file in the run directory."""

PHASES: Final[dict[str, str]] = {
    "physics": "steps of the physics engine",
    "environment": "Python of the environments: actions, observations, rewards, resets",
    "transport": "handing actions and results over, and waiting for the slower worker",
    "wrappers": "monitor, normaliser and check for numbers that are not finite",
    "inference": "choosing actions",
    "learning": "updates of the networks",
    "callbacks": "evaluations, checkpoints, metrics, videos",
    "loop": "the rest of the algorithm's loop, such as filling its buffer",
}
"""The phases of a run, which share its time completely, and what each of them is."""


def breakdown_rows(profile: Mapping[str, object]) -> list[tuple[str, str, str, str]]:
    """Return phase, share, time per control step and meaning of each phase, largest first.

    Args:
        profile: What ``profile.json`` holds; an empty or damaged one gives no rows.
    """
    phases, steps = profile.get("phases"), profile.get("steps")
    if not isinstance(phases, Mapping) or not isinstance(steps, int):
        return []
    seconds = {
        name: float(value)
        for name, value in phases.items()
        if name in PHASES and isinstance(value, int | float)
    }
    total = max(sum(seconds.values()), 1e-9)
    return [
        (name, f"{spent / total:.1%}", f"{spent / max(steps, 1) * 1e6:,.1f} us", PHASES[name])
        for name, spent in sorted(seconds.items(), key=lambda pair: -pair[1])
    ]


def breakdown_summary(profile: Mapping[str, object]) -> str:
    """Return how fast the profiled part was, and with which setting.

    Args:
        profile: As for :func:`breakdown_rows`.
    """
    steps, speed, phases = (profile.get(key) for key in ("steps", "steps_per_s", "phases"))
    done = f"{steps:,} control steps" if isinstance(steps, int) else "Measured"
    rate = f" at {speed:,.0f} per second" if isinstance(speed, int | float) else ""
    text = (
        f"{done}{rate}: {profile.get('num_envs')} environments, {profile.get('workers')} worker "
        f"processes, {profile.get('threads')} learner threads, {profile.get('backend')} on "
        f"{profile.get('device')} ({profile.get('device_reason')})."
    )
    if isinstance(phases, Mapping) and "physics" not in phases:
        text += " These environments do not tell how much of their time is physics."
    return text
