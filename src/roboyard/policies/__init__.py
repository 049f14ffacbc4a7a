"""Policy bundles: a network with everything that is needed to act with it.

Importing this package imports neither torch nor stable_baselines3; they are needed only when a
bundle's network is built.
"""

from roboyard.policies.bundle import PolicyBundle
from roboyard.policies.loading import load_policy
from roboyard.policies.normalizer import ObservationNormalizer

__all__ = ["ObservationNormalizer", "PolicyBundle", "load_policy"]
