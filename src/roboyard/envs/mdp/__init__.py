"""Terms: small functions for parts of observations and rewards, for ends of episodes, for events.

Importing this package registers the library; ``module:function`` names a user's own.
"""

from __future__ import annotations

from roboyard.envs.managers.registry import (
    COMMANDS,
    EVENTS,
    OBSERVATIONS,
    REWARDS,
    TERMINATIONS,
    EventContext,
    StatefulTerm,
    TermSetup,
    commanding,
    event,
    observation,
    reward,
    termination,
)
from roboyard.envs.mdp import (
    commands,
    effort_rewards,
    events,
    exteroception,
    goals,
    locomotion_rewards,
    objects,
    observations,
    proprioception,
    randomization,
    rewards,
    terminations,
)

__all__ = [
    "COMMANDS",
    "EVENTS",
    "OBSERVATIONS",
    "REWARDS",
    "TERMINATIONS",
    "EventContext",
    "StatefulTerm",
    "TermSetup",
    "commanding",
    "commands",
    "effort_rewards",
    "event",
    "events",
    "exteroception",
    "goals",
    "locomotion_rewards",
    "objects",
    "observation",
    "observations",
    "proprioception",
    "randomization",
    "reward",
    "rewards",
    "termination",
    "terminations",
]
