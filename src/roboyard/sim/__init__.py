"""Physics: worlds, and what can be read from and done to them; engines stand behind them."""

from roboyard.sim.assets import data_path
from roboyard.sim.bodies import BaseState, JointInfo
from roboyard.sim.camera import Camera, Picture, View
from roboyard.sim.descriptions import Placement, RobotDescription
from roboyard.sim.dynamics import Dynamics, LinkProperties
from roboyard.sim.engines import open_world
from roboyard.sim.reading import ContactReader, JointReader, LinkReader
from roboyard.sim.rows import RayHits
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
    "LinkProperties",
    "LinkReader",
    "Picture",
    "Placement",
    "RayHits",
    "RobotDescription",
    "Shape",
    "View",
    "World",
    "WorldConfig",
    "data_path",
    "open_world",
]
