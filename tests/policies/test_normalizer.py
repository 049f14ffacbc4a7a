"""The NumPy normaliser against stable_baselines3's, bit for bit."""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from roboyard.errors import PolicyError
from roboyard.policies import ObservationNormalizer
from roboyard.testing.fake_envs import FORCE, IMAGE, MIXED, VECTOR, FakeEnv

DOUBLES = spaces.Box(-np.inf, np.inf, (2, 2), np.float64)


def normalised_env(observation_space, **options):
    env = VecNormalize(DummyVecEnv([lambda: FakeEnv(observation_space, FORCE)] * 3), **options)
    env.seed(0)
    env.reset()
    for _ in range(20):
        env.step(np.zeros((3, 2), np.float32))
    env.training = False
    return env


def assert_same_bits(first, second):
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same_bits(first[key], second[key])
        return
    assert first.dtype == second.dtype
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("space", [VECTOR, DOUBLES, MIXED, IMAGE], ids=["f32", "f64", "dict", "u8"])
@pytest.mark.parametrize("options", [{}, {"clip_obs": 0.5, "epsilon": 1e-2}], ids=["plain", "clip"])
def test_every_bit_is_that_of_vec_normalize(space, options):
    env = normalised_env(space, **options)
    normalizer = ObservationNormalizer.from_vec_normalize(env)
    observation = env.venv.reset()
    assert_same_bits(normalizer(observation), env.normalize_obs(observation))
    single = {k: v[0] for k, v in observation.items()} if space is MIXED else observation[0]
    assert_same_bits(normalizer(single), env.normalize_obs(single))


def test_only_the_chosen_keys_are_normalised_and_the_space_follows():
    env = normalised_env(MIXED, norm_obs_keys=["joints"])
    normalizer = ObservationNormalizer.from_vec_normalize(env)
    observation = env.venv.reset()
    assert_same_bits(normalizer(observation), env.normalize_obs(observation))
    assert normalizer.output_space(MIXED) == env.observation_space


def test_the_space_of_normalised_images_is_that_of_vec_normalize():
    env = normalised_env(IMAGE)
    normalizer = ObservationNormalizer.from_vec_normalize(env)
    assert normalizer.output_space(IMAGE) == env.observation_space


def test_the_observation_itself_is_left_alone():
    observation = np.ones(3, np.float32)
    ObservationNormalizer([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])(observation)
    assert (observation == 1.0).all()


def test_later_statistics_of_the_environment_do_not_leak_in():
    env = normalised_env(VECTOR)
    normalizer = ObservationNormalizer.from_vec_normalize(env)
    before = normalizer.mean[""].copy()
    env.obs_rms.mean += 1.0
    assert (normalizer.mean[""] == before).all()


def test_an_environment_that_leaves_observations_alone_gives_none():
    assert ObservationNormalizer.from_vec_normalize(normalised_env(VECTOR, norm_obs=False)) is None


@pytest.mark.parametrize(
    ("mean", "var", "options", "message"),
    [
        ([0.0], [1.0, 1.0], {}, "statistics are wrong"),
        ([0.0], [-1.0], {}, "statistics are wrong"),
        ([np.nan], [1.0], {}, "statistics are wrong or not finite"),
        ({"a": np.zeros(1)}, {"b": np.ones(1)}, {}, "not for the same keys"),
        ([0.0], [1.0], {"clip": -1.0}, "clip or epsilon"),
        ([0.0], [1.0], {"epsilon": np.nan}, "clip or epsilon"),
    ],
)
def test_impossible_statistics_are_refused(mean, var, options, message):
    with pytest.raises(PolicyError, match=message):
        ObservationNormalizer(mean, var, **options)


def test_statistics_of_another_space_are_refused():
    with pytest.raises(PolicyError, match=r"shape \(2,\), which do not fit"):
        ObservationNormalizer([0.0, 0.0], [1.0, 1.0]).check_space(VECTOR)
