"""From a config to an environment."""

from __future__ import annotations

import gymnasium
import pytest

from roboyard.config.schema import EnvConfig
from roboyard.envs import SimpleRobotEnv, list_env_ids, make_env
from roboyard.errors import ConfigError, SimulationError


class Broken(gymnasium.Env):
    def __init__(self, size: int) -> None:
        raise RuntimeError(f"size {size} does not suit me")


class Spaceless(gymnasium.Env):
    pass


class OldGym:
    observation_space = action_space = None

    def reset(self):
        return 0


class Good(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1)
    action_space = gymnasium.spaces.Discrete(2)


def build(env_id, render_mode=None, **fields):
    return make_env(EnvConfig(id=env_id, **fields), render_mode=render_mode)


@pytest.mark.parametrize(
    "env_id",
    [
        "roboyard/SimpleRobot-v0",
        "SimpleRobot-v0",
        "SimpleRobot",
        "roboyard.envs:roboyard/SimpleRobot-v0",
        "roboyard.envs.simple:SimpleRobotEnv",
    ],
)
def test_the_cart_pole_has_several_names_and_comes_without_wrappers(env_id):
    env = build(env_id)
    assert type(env) is SimpleRobotEnv
    assert env.max_episode_steps == 500
    env.close()


def test_any_gymnasium_id_works_and_keeps_its_time_limit():
    env = build("Pendulum-v1", kwargs={"g": 5.0})
    assert env.unwrapped.g == 5.0
    assert env.spec.max_episode_steps == 200
    env.close()


def test_episode_limits_are_set_inside_ours_and_around_others():
    ours = build("SimpleRobot", max_episode_steps=7)
    assert type(ours) is SimpleRobotEnv
    assert ours.max_episode_steps == 7
    ours.close()
    other = build("Pendulum-v1", max_episode_steps=3)
    other.reset(seed=0)
    assert [other.step(other.action_space.sample())[3] for _ in range(3)] == [False, False, True]
    wrapped = build(f"{__name__}:Good", max_episode_steps=3)
    assert isinstance(wrapped, gymnasium.wrappers.TimeLimit)


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("SimpleRobto-v0", "unknown environment 'SimpleRobto-v0'. Did you mean .*SimpleRobot-v0"),
        ("Pendulum", "Did you mean 'Pendulum-v1'"),
        ("roboyard/SimpleRobot-v9", "unknown environment .*Did you mean"),
        ("qqq", "Allowed: any registered Gymnasium id, or 'module:Class'"),
        ("no_such_module:Env", "module 'no_such_module' cannot be imported"),
        ("no_such_module:Some/Env-v0", "module 'no_such_module' cannot be imported"),
        ("roboyard.envs.simple:SimpleRobotEnvs", "has no .* Did you mean 'SimpleRobotEnv'"),
        ("roboyard.envs:BaseRobotEnv", "is abstract: it does not define _apply, _load"),
        ("math:pi", "is a float, not a class"),
        (f"{__name__}:OldGym", "is a OldGym, not a gymnasium.Env. One written for the old 'gym'"),
        (f"{__name__}:Spaceless", "observation_space is None, which is not a Gymnasium space"),
        (f"{__name__}:Broken", "needs an argument 'size'. Give it as env.kwargs.size"),
    ],
)
def test_wrong_ids_are_refused_with_a_way_out(env_id, words):
    with pytest.raises(ConfigError, match=words):
        build(env_id)


@pytest.mark.parametrize(
    ("env_id", "kwargs", "words"),
    [
        ("SimpleRobot", {"max_episode_step": 5}, "takes no .*Did you mean 'max_episode_steps'"),
        ("Pendulum-v1", {"gravity": 1}, "takes no argument 'gravity'. Allowed .* render_mode, g"),
        ("SimpleRobot", {"max_episode_steps": "many"}, "max_episode_steps is 'many'"),
        (f"{__name__}:Broken", {"size": 3}, "RuntimeError: size 3 does not suit me"),
    ],
)
def test_wrong_arguments_are_refused(env_id, kwargs, words):
    with pytest.raises(ConfigError, match=words) as caught:
        build(env_id, kwargs=kwargs)
    if "RuntimeError" in words:
        assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_render_mode_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"has no render mode 'gif'. Allowed: human, rgb_array"):
        build("SimpleRobot", render_mode="gif")


def test_our_own_errors_pass_through_unchanged(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SimulationError, match=r"no display"):
        build("SimpleRobot", render_mode="human")


def test_ids_are_listed_ours_and_all():
    assert "roboyard/SimpleRobot-v0" in list_env_ids(own=True)
    assert "Pendulum-v1" in list_env_ids()
    assert "Pendulum-v1" not in list_env_ids(own=True)
