"""Robot models in a world: the base in its link's frame, mimics, friction, snapshots."""

from pathlib import Path

import numpy as np
import pytest

from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization import Normalization, normalize
from roboyard.robots.readers.files import read_robot
from roboyard.sim import BaseState, Placement, RobotDescription, View, World, open_world

CASES = Path(__file__).parents[1] / "data" / "robots"
TURNED = (0.1, 0.2, 0.3, 0.9273618495495703)


def load(world: World, name: str, *, fixed: bool = False, where: Placement | None = None) -> int:
    file = CASES / name
    model = normalize(read_robot(file), Normalization(max_links=128))
    (body,) = world.load_robot(RobotDescription(file, fixed, model=model), where)
    return body


@pytest.mark.parametrize("name", ["base_inertial_rpy.urdf", "inertia_offdiagonal.urdf"])
def test_the_base_is_told_in_the_frame_of_its_link(name: str) -> None:
    with open_world() as world:
        body = load(world, name, where=Placement((1, 2, 3), TURNED))
        for told in (world.base(body)[:2], world.pose_reader(body)()):
            assert told[0] == pytest.approx((1, 2, 3))
            assert told[1] == pytest.approx(TURNED, abs=1e-7)
        state = BaseState((0, 0, 1), TURNED, (0.1, 0.2, 0.3), (0.4, -0.5, 0.6))
        world.set_base(body, state)
        for told, given in zip(world.base(body), state, strict=True):
            assert told == pytest.approx(given, abs=1e-7)
        linear, angular = world.velocity_reader(body)()
        assert (*linear, *angular) == pytest.approx((0.1, 0.2, 0.3, 0.4, -0.5, 0.6), abs=1e-7)


def test_the_velocity_told_is_the_change_of_the_pose_told() -> None:
    with open_world() as world:
        world.set_gravity((0, 0, 0))
        body = load(world, "inertia_offdiagonal.urdf")
        world.set_base(body, BaseState((0, 0, 1), TURNED, (0.1, 0.2, 0.3), (0.4, -0.5, 0.6)))
        world.step()
        before = world.base(body)
        world.step()
        after = world.base(body)
        moved = np.subtract(after.position, before.position) * 240
        np.testing.assert_allclose(moved, after.linear_velocity, atol=2e-3)


def test_a_camera_on_the_base_looks_along_the_link() -> None:
    with open_world() as world:
        world.load_plane()
        body = load(world, "base_inertial_rpy.urdf", fixed=True, where=Placement((0, 0, 1)))
        down = View(
            position=(0, 0, -0.2), target=(0.01, 0, -1.0), field_of_view=60, width=16, height=16
        )
        seen = world.take_view(down, (body, -1))
        assert np.median(seen.depth) == pytest.approx(0.8, abs=0.1)


def test_a_mimic_joint_follows_with_gear_and_offset() -> None:
    with open_world() as world:
        body = load(world, "mimic_offset.urdf", fixed=True)
        joints = {joint.name: joint.index for joint in world.joints(body)}
        world.set_joint_states(body, [joints["ja"], joints["jb"]], [0.1, 0.3], [0, 0])
        for _ in range(120):
            world.set_torques(body, [joints["ja"]], [0.02])
            world.step()
        (leader, follower), _, _ = world.joint_reader(body, [joints["ja"], joints["jb"]])()
        assert abs(leader - 0.1) > 0.01
        assert follower == pytest.approx(-2 * leader + 0.5, abs=1e-3)


def test_dry_friction_of_the_file_stops_a_joint() -> None:
    with open_world() as world:
        world.set_gravity((0, 0, 0))
        body = load(world, "joint_friction.urdf", fixed=True)
        joint = next(j for j in world.joints(body) if j.is_movable)
        world.set_joint_states(body, [joint.index], [0.0], [1.0])
        for _ in range(60):
            world.step()
        _, (velocity,), _ = world.joint_reader(body, [joint.index])()
        assert abs(velocity) < 1e-3


def test_a_world_with_models_goes_on_exactly_after_a_snapshot() -> None:
    with open_world() as world:
        body = load(world, "mimic_offset.urdf", fixed=True)
        for _ in range(20):
            world.step()
        saved = world.snapshot()
        for _ in range(20):
            world.step()
        first = world.motion()
        world.load_snapshot(saved)
        for _ in range(20):
            world.step()
        assert world.motion() == first
        assert body in world.bodies


def test_more_links_than_the_engine_takes_are_refused_before_it_sees_them() -> None:
    model = normalize(read_robot(CASES / "mimic_plain.urdf"))
    link, *_ = model.links
    crowd = model.replace(links=(*model.links, *[link] * 126))
    with open_world() as world, pytest.raises(RobotDescriptionError, match="at most 128"):
        world.load_robot(RobotDescription(CASES / "mimic_plain.urdf", model=crowd))
