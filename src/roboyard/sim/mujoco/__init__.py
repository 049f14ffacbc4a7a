"""The engine MuJoCo; beside the reader of MJCF, nothing else in the package knows it."""

from roboyard.sim.mujoco.world import MuJoCoWorld

__all__ = ["MuJoCoWorld"]
