"""The engine PyBullet; nothing else in the package knows it."""

from roboyard.sim.pybullet.world import PyBulletWorld

__all__ = ["PyBulletWorld"]
