"""Records that describe a robot: its file, its pose, its actuators, what to override.

Joints and links are named by patterns: exact names, or shell patterns such as ``"*_hip"``. A
``PerJoint`` value is one number for all, or a mapping from patterns to numbers in which the first
pattern that matches a name counts.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, NonNegativeFloat, PositiveFloat, model_validator

from roboyard.config.base import Record
from roboyard.config.uses import FileName, Text

Pattern = Annotated[Text, Field(min_length=1)]
"""A name, or a shell pattern such as ``"front_*"``."""

PerJoint = FiniteFloat | dict[Pattern, FiniteFloat]
"""One number for all joints, or a mapping from patterns to numbers."""

Vector3 = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
"""Three numbers."""


class ActuatorConfig(Record):
    """How actions move a group of joints.

    An action entry ``a`` is limited to [-1, 1] and becomes ``offset + scale * a``: a torque,
    a velocity or a position, by ``control``.
    """

    joints: tuple[Pattern, ...] = ()
    """Joints in the order of the action's entries; those of a pattern come in file order."""
    links: tuple[Pattern, ...] = ()
    """For ``thrust``: the links that are pushed, in the order of the action's entries."""
    control: Literal["torque", "velocity", "position", "pd", "cartesian", "thrust"] = "torque"
    """``torque`` [N m]; ``velocity`` [rad/s] and ``position`` [rad] by the engine's own motors;
    ``pd`` turns positions [rad] into limited torques before each physics step; ``cartesian``
    moves ``link`` by inverse kinematics: three entries for x, y and z [m]; ``thrust`` pushes
    ``links`` with forces [N], or by propellers at speeds [rad/s]."""
    axis: Vector3 = (0.0, 0.0, 1.0)
    """For ``thrust``: direction of the force in the link's frame, of any length."""
    points: dict[Pattern, Vector3] = Field(default={})
    """For ``thrust``: where links are pushed, in their frames [m]; by default at the origin."""
    thrust_coefficient: PerJoint | None = None
    """For ``thrust``: action entries are propeller speeds [rad/s], and the thrust is this
    times the speed squared [N s^2/rad^2]; without it they are the thrust itself [N]."""
    moment_ratio: PerJoint = 0.0
    """For ``thrust``: torque about ``axis`` per thrust [m]: the drag of the propeller, positive
    if that turns clockwise seen against the axis."""
    link: Text | None = None
    """For ``cartesian``: the link that is moved."""
    workspace: tuple[Vector3, Vector3] | None = None
    """For ``cartesian``: lower and upper corner of a box that targets are limited to [m]."""
    rotation: Vector3 | None = None
    """For ``cartesian``: roll, pitch and yaw that the link keeps [rad]; by default the initial."""
    together: bool = False
    """One entry of the action for all joints of the group, as for a gripper's fingers."""
    scale: PerJoint = 1.0
    """What an action of 1 adds to ``offset``, in the unit of ``control``."""
    offset: PerJoint | Literal["initial"] = 0.0
    """What an action of 0 means; ``initial`` is the joint's initial position."""
    stiffness: PerJoint | None = None
    """Position gain: [N m/rad] for ``pd``, the engine's unitless gain for ``position``."""
    damping: PerJoint | None = None
    """Velocity gain: [N m s/rad] for ``pd``, unitless for ``position`` and ``velocity``."""
    effort_limit: PerJoint | None = None
    """Largest torque or force [N m] or [N]; by default the description's limit, if it has one.
    With ``compat``, ``torque`` control has none by default."""
    velocity_limit: PerJoint | None = None
    """Largest velocity that ``position`` and ``velocity`` control aim at [rad/s] or [m/s]; by
    default the description's limit, and with ``compat`` none. The other modes know none."""
    single_precision: bool = False
    """Compute torques in single precision, to reproduce programs that do (``torque`` only)."""

    @model_validator(mode="after")
    def _gains_fit(self) -> Self:
        if self.control == "pd" and self.stiffness is None:
            raise ValueError("control 'pd' needs stiffness [N m/rad] (and usually damping)")
        if self.control == "torque" and not (self.stiffness is None and self.damping is None):
            raise ValueError("control 'torque' takes no stiffness or damping; use control 'pd'")
        if self.velocity_limit is not None and self.control not in ("velocity", "position"):
            raise ValueError(
                f"control '{self.control}' takes no velocity_limit; 'position' and 'velocity' do"
            )
        return self

    @model_validator(mode="after")
    def _moved_parts_fit(self) -> Self:
        if self.control == "thrust":
            _check_thrust(self)
            return self
        if not self.joints:
            raise ValueError(f"control '{self.control}' needs joints")
        for name in ("links", "axis", "points", "thrust_coefficient", "moment_ratio"):
            field = type(self).model_fields[name]
            if getattr(self, name) != field.get_default(call_default_factory=True):
                raise ValueError(f"control '{self.control}' takes no {name}; 'thrust' does")
        return self

    @model_validator(mode="after")
    def _aims_fit(self) -> Self:
        if self.control == "cartesian":
            _check_cartesian(self)
            return self
        for name in ("link", "workspace", "rotation"):
            if getattr(self, name) is not None:
                raise ValueError(f"control '{self.control}' takes no {name}; 'cartesian' does")
        return self


def _check_cartesian(config: ActuatorConfig) -> None:
    if config.link is None:
        raise ValueError("control 'cartesian' needs link, the one that is moved")
    if config.offset != 0.0:
        raise ValueError("control 'cartesian' takes no offset: it starts from where the link is")
    if config.together:
        raise ValueError("control 'cartesian' has entries x, y and z, so it takes no 'together'")
    if config.workspace is not None:
        for axis, low, high in zip("xyz", *config.workspace, strict=True):
            if low > high:
                raise ValueError(f"workspace is reversed along {axis}: {low} is above {high}")


def _check_thrust(config: ActuatorConfig) -> None:
    if config.joints:
        raise ValueError("control 'thrust' takes no joints; links names what is pushed")
    if not config.links:
        raise ValueError("control 'thrust' needs links, those that are pushed")
    if not any(config.axis):
        raise ValueError("axis is 0 0 0, but must have a direction")
    if config.offset == "initial":
        raise ValueError("control 'thrust' has no initial offset; give numbers")
    for name in ("stiffness", "damping"):
        if getattr(config, name) is not None:
            raise ValueError(f"control 'thrust' takes no {name}")


class LinkOverrides(Record):
    """Contact and mass properties of links, instead of the description's."""

    mass: NonNegativeFloat | None = None
    """Mass [kg]."""
    lateral_friction: NonNegativeFloat | None = None
    """Friction coefficient."""
    spinning_friction: NonNegativeFloat | None = None
    """Torsional friction around the contact normal."""
    rolling_friction: NonNegativeFloat | None = None
    """Torsional friction against rolling."""
    restitution: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """Bounciness, 0 to 1."""
    linear_damping: NonNegativeFloat | None = None
    """Damping of linear velocity of the whole body; give it for the base only."""
    angular_damping: NonNegativeFloat | None = None
    """Damping of angular velocity of the whole body; give it for the base only."""


class JointOverrides(Record):
    """Properties of joints, instead of the description's."""

    damping: NonNegativeFloat | None = None
    """Damping [N m s/rad] or [N s/m]."""
    friction: NonNegativeFloat | None = None
    """Friction torque or force [N m] or [N], from a motor that aims at standstill."""


class RobotSpec(Record):
    """A robot: one articulated body and how it is driven."""

    file: FileName = Field(min_length=1)
    """URDF, xacro, MJCF or SDF file, relative to the file that names it; ``pybullet_data:PATH`` and
    ``package:MODULE/PATH`` look into PyBullet's data and into a Python package."""
    description: Text = ""
    """What it is, in one line."""
    body: Text | None = None
    """For a MJCF file of several bodies: a link of the one that is the robot; by default the
    one with the most joints."""
    fixed_base: bool = False
    """Fix the base in the world (URDF only; a MJCF file says it itself)."""
    position: Vector3 | None = None
    """Position of the base [m]; by default the description's, or the origin."""
    rotation: Vector3 | None = None
    """Roll, pitch and yaw of the base [rad]; by default the description's, or zero."""
    scale: PositiveFloat = 1.0
    """Factor on all lengths (URDF only)."""
    inertia: Literal["file", "mend", "refuse", "shapes", "computed"] = "file"
    """Where inertias come from. ``file`` or ``mend``: the file, with the smallest change to those
    that no body can have; ``refuse``: the file, and an error for those; ``shapes``: its masses and
    collision shapes; ``computed``: links without an inertial weigh what their shapes weigh at
    1000 kg/m^3."""
    merge_fixed: bool = False
    """Make one link of links that are fixed to each other, which is faster; ``feet`` and
    ``base_link`` stay."""
    packages: dict[str, FileName] = Field(default={})
    """Folders of the packages that meshes are in (``package://NAME/...``), by name."""
    compat: bool = False
    """Let PyBullet read the file itself and tell the base in its inertial frame, as published
    tasks do: links without an inertial weigh 1 kg, mimic joints are free, friction is dropped."""
    self_collision: Literal["none", "all", "exclude_parent", "exclude_all_parents"] = "none"
    """Whether the robot's links touch each other."""
    base_link: Text | None = None
    """Link whose pose and velocity are the robot's; by default the body's base."""
    feet: tuple[Pattern, ...] = ()
    """Links that are meant to touch the ground."""
    ignored_joints: tuple[Pattern, ...] = ()
    """Movable joints that are no part of the robot, such as a planar robot's root."""
    joint_positions: dict[Pattern, FiniteFloat] = Field(default={})
    """Initial joint positions [rad] or [m]; 0 for joints that no pattern names."""
    actuators: tuple[ActuatorConfig, ...] = Field(min_length=1)
    """Groups of actuated joints; together they make the action, in this order."""
    links: dict[Pattern, LinkOverrides] = Field(default={})
    """Properties of links, instead of the description's; ``base`` is the base."""
    joints: dict[Pattern, JointOverrides] = Field(default={})
    """Properties of joints, instead of the description's."""

    @model_validator(mode="after")
    def _keep_meaning(self) -> Self:
        """Let what earlier versions wrote mean what it meant: they had no ``compat``.

        Runs and bundles hold every key of their version, which nobody writes by hand.
        """
        given = self.model_fields_set
        if given == _KEYS_BEFORE_COMPAT:
            object.__setattr__(self, "compat", True)  # Nobody else has the record yet.
        return self


_KEYS_BEFORE_COMPAT = frozenset(
    [
        "file",
        "description",
        "body",
        "fixed_base",
        "position",
        "rotation",
        "scale",
        "inertia",
        "self_collision",
        "base_link",
        "feet",
        "ignored_joints",
        "joint_positions",
        "actuators",
        "links",
        "joints",
    ]
)
"""All keys of version 0.1, whose engine read robots' files itself."""
