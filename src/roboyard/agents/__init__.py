"""Agents: learning algorithms with their networks, schedules and exploration noise."""

from roboyard.agents.factory import build_agent, build_policy
from roboyard.agents.fit import check_fits

__all__ = ["build_agent", "build_policy", "check_fits"]
