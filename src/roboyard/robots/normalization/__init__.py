"""From the robot that a file describes to the one that is simulated, each change remarked on."""

from roboyard.robots.normalization.options import Normalization
from roboyard.robots.normalization.report import grouped
from roboyard.robots.normalization.steps import normalize

__all__ = ["Normalization", "grouped", "normalize"]
