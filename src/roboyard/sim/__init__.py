"""Physics: worlds, and what can be read from and done to them. Only here is PyBullet known."""

from roboyard.sim.bodies import BaseState, JointInfo
from roboyard.sim.camera import Camera, Picture
from roboyard.sim.dynamics import Dynamics
from roboyard.sim.engine import data_path
from roboyard.sim.reading import ContactReader, JointReader, LinkReader, RayHits
from roboyard.sim.settings import WorldConfig
from roboyard.sim.shapes import Shape
from roboyard.sim.world import World

__all__ = [
    "BaseState",
    "Camera",
    "ContactReader",
    "Dynamics",
    "JointInfo",
    "JointReader",
    "LinkReader",
    "Picture",
    "RayHits",
    "Shape",
    "World",
    "WorldConfig",
    "data_path",
]
