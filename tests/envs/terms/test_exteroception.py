"""What robots see: heights, rays, pictures; and observations that are too large."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError
from roboyard.sim import Shape

STILL = {"base": {"params": {"yaw": 0.0, "velocity": 0.0, "turning": 0.0}},
         "joints": {"params": {"position": 0.0}}}  # fmt: skip


def make(task: str = "a1-velocity", **observations: Any) -> TaskEnv:
    return TaskEnv(task, overrides={"observations": observations, "events": STILL})


def term(env: TaskEnv, name: str) -> Any:
    return next(t for t in env.observations.terms if t.name == name).call(env.state)


def test_a_height_scan_is_the_base_s_clearance_at_every_point() -> None:
    env = make(scan={"term": "height_scan", "params": {"length": 0.4, "width": 0.2}})
    env.reset(seed=0)
    env.state.base_position, env.state.base_euler = (1.0, 2.0, 0.5), (0.0, 0.0, np.pi / 2)
    env.state.ground_height = lambda x, y: 0.1 * (y - 2.0)
    # It faces +y: three rows at -0.2, 0 and 0.2 m, two points each; 0.3 m counts as 0.
    np.testing.assert_allclose(term(env, "scan"), [0.22, 0.22, 0.2, 0.2, 0.18, 0.18])
    env.close()


def test_rays_end_at_what_stands_in_their_way() -> None:
    env = make(rays={"params": {"count": 3, "angle": 3 * np.pi / 2, "reach": 3.0}})
    env.reset(seed=0)
    x, y, z = env.state.base_position
    env.world.add_shape(Shape("box", (0.1, 5.0, 5.0)), position=(x + 2.1, y, z))
    env.world.step()
    np.testing.assert_allclose(term(env, "rays"), [3.0, 2.0, 3.0], atol=0.02)  # only ahead
    env.close()


@pytest.mark.parametrize(
    ("kind", "channels", "dtype"),
    [("rgb", 3, np.uint8), ("depth", 1, np.float32), ("segmentation", 1, np.uint8)],
)
def test_a_picture_is_a_group_of_its_own(kind: str, channels: int, dtype: type) -> None:
    params = {"kind": kind, "size": [24, 32], "position": [1.5, 0, 0.5], "target": [0, 0, 0.3]}
    env = make(eye={"term": "camera", "group": "eye", "params": params})
    observation, _ = env.reset(seed=0)
    assert isinstance(observation, dict)
    picture = observation["eye"]
    assert (picture.shape, picture.dtype) == ((24, 32, channels), dtype)
    assert env.observation_space.contains(observation)
    middle = picture[12, 16]
    if kind == "depth":
        assert middle == pytest.approx(1.3, abs=0.3)  # the trunk's front is 0.13 m nearer
    if kind == "segmentation":
        assert middle == 2
        assert picture[-1, 0] == 1
        assert set(np.unique(picture).tolist()) <= {0, 1, 2}
    env.close()


def test_a_camera_on_a_link_moves_with_it() -> None:
    params = {"size": [16, 16], "position": [0.3, 0, 0], "target": [2, 0, 2], "link": "base"}
    env = make(eye={"term": "camera", "group": "eye", "params": {**params, "kind": "segmentation"}})
    env.reset(seed=0)
    assert (term(env, "eye") == 0).all()  # it looks at the sky
    base = env.world.base(env.robot.body)
    env.world.set_base(env.robot.body, base._replace(orientation=(0.0, 1.0, 0.0, 0.0)))
    assert (term(env, "eye") == 1).all()  # and now at the ground
    env.close()


def test_the_checker_likes_pictures() -> None:
    env = make(eye={"term": "camera", "group": "eye", "params": {"size": [36, 36]}})
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize(
    ("observations", "text"),
    [
        ({"eye": {"term": "camera"}}, "observations.eye: a picture needs a group of its own"),
        ({"eye": {"term": "camera", "group": "eye", "params": {"size": [9999, 9999]}}},
         "observations.eye: the observation is too large: 99980001 pixels, at most 262144"),
        ({"scan": {"term": "height_scan", "params": {"spacing": 0.001}}},
         "observations.scan: the observation is too large: 1602601 points, at most 4096"),
        ({"rays": {"params": {"count": 10_000}}}, "observations.rays: the observation is too"),
        ({"rays": {"params": {"start": 6.0}}}, "observations.rays: rays start at 6.0 m, beyond"),
        ({"much": {"term": f"{__name__}:much"}},
         "observations: 1000057 entries in one group, at most 1000000 are allowed; the largest "
         "term is observations.much with 1000001."),
        ({"joints": {"sensor": {"drop": 1.0}}}, "observations.joints.sensor.drop: must be less"),
        ({"joints": {"sensor": {"delay_steps": -1}}}, "delay_steps can be negative here"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_too_large_is_named(observations: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**observations)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def much(state: object) -> np.ndarray:
    """Give more than anybody can take."""
    del state
    return np.zeros(1_000_001)
