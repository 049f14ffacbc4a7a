"""Terms: small functions for parts of observations and rewards, for ends of episodes, for events.

Importing this package registers the library; ``module:function`` names a user's own.
"""

from __future__ import annotations

from roboyard.envs.terms import (
    effort_rewards,
    events,
    goals,
    locomotion_rewards,
    observations,
    proprioception,
    rewards,
    terminations,
)
from roboyard.envs.terms.registry import (
    EVENTS,
    OBSERVATIONS,
    REWARDS,
    TERMINATIONS,
    EventContext,
    StatefulTerm,
    TermSetup,
    event,
    observation,
    reward,
    termination,
)

__all__ = [
    "EVENTS",
    "OBSERVATIONS",
    "REWARDS",
    "TERMINATIONS",
    "EventContext",
    "StatefulTerm",
    "TermSetup",
    "effort_rewards",
    "event",
    "events",
    "goals",
    "locomotion_rewards",
    "observation",
    "observations",
    "proprioception",
    "reward",
    "rewards",
    "termination",
    "terminations",
]
