"""Readers of robot descriptions: URDF, MJCF, SDF and xacro, each into a ``RobotModel``."""
