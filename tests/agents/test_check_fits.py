"""Agents that cannot work with an environment are refused in one line, before training."""

import numpy as np
import pytest
from gymnasium import spaces

from roboyard.agents import check_fits
from roboyard.errors import ConfigError
from roboyard.testing.agent_configs import ALGORITHM_NAMES, small_agent
from roboyard.testing.fake_envs import FORCE, GOAL, IMAGE, MIXED, VECTOR

UNBOUNDED = spaces.Box(-np.inf, np.inf, (2,), np.float32)
TUPLE = spaces.Tuple((VECTOR, VECTOR))
NESTED = spaces.Dict({"outer": spaces.Dict({"inner": VECTOR})})
TINY_IMAGE = spaces.Box(0, 255, (3, 20, 20), np.uint8)


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_every_algorithm_fits_vectors_and_bounded_actions(name):
    check_fits(small_agent(name), VECTOR, FORCE)


@pytest.mark.parametrize(
    ("name", "sections", "observation_space", "action_space", "message"),
    [
        (
            "SAC",
            {},
            VECTOR,
            spaces.Discrete(2),
            r"SAC cannot act in the environment's action space Discrete\(2\): it accepts Box\. "
            r"Algorithms that accept it: PPO, A2C, TRPO, RecurrentPPO, ARS\.",
        ),
        ("TD3", {}, VECTOR, spaces.MultiBinary(2), r"TD3 cannot act.*: PPO, A2C, TRPO\."),
        ("ARS", {}, VECTOR, spaces.MultiDiscrete([2, 2]), "ARS cannot act"),
        ("PPO", {}, VECTOR, spaces.Tuple((FORCE,)), "PPO cannot act.*None accepts it"),
        ("PPO", {}, VECTOR, UNBOUNDED, "PPO needs a bounded action space.*RescaleAction"),
        ("PPO", {}, TUPLE, FORCE, "PPO cannot read the observation space Tuple.*FlattenObs"),
        ("PPO", {}, NESTED, FORCE, "PPO cannot read.*under key 'outer'"),
        ("ARS", {}, MIXED, FORCE, "ARS cannot read Dict observations"),
        ("CrossQ", {}, MIXED, FORCE, "CrossQ cannot read Dict observations. .* that can: PPO, A2C"),
        (
            "PPO",
            {"hyperparameters": {"use_sde": True}},
            VECTOR,
            spaces.Discrete(2),
            "use_sde: PPO explores with gSDE only in Box action spaces.*is Discrete",
        ),
        ("PPO", {}, TINY_IMAGE, FORCE, r"at least 36 x 36 pixels.*\(3, 20, 20\)"),
        ("SAC", {"her": {}}, VECTOR, FORCE, "agent.her needs.*missing here: observation, achieved"),
        ("SAC", {"hyperparameters": {"n_steps": 3}}, GOAL, FORCE, "n_steps above 1.*Dict"),
        (
            "SAC",
            {"hyperparameters": {"optimize_memory_usage": True}},
            GOAL,
            FORCE,
            "optimize_memory_usage does not work with Dict",
        ),
        (
            "SAC",
            {"hyperparameters": {"optimize_memory_usage": True, "n_steps": 2}},
            VECTOR,
            FORCE,
            "optimize_memory_usage does not work with n_steps above 1",
        ),
        (
            "stable_baselines3:DQN",
            {"action_noise": {}, "network": {"critic": None}},
            VECTOR,
            spaces.Discrete(2),
            "agent.action_noise works with off-policy algorithms and Box actions",
        ),
        (
            "stable_baselines3:A2C",
            {"her": {}},
            GOAL,
            FORCE,
            "missing here: an off-policy algorithm",
        ),
    ],
)
def test_a_misfit_is_named_with_its_remedy(
    name, sections, observation_space, action_space, message
):
    with pytest.raises(ConfigError, match=message) as caught:
        check_fits(small_agent(name, **sections), observation_space, action_space)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "network", "message"),
    [
        ("PPO", {"num_critics": 2}, "num_critics has no effect in PPO.*SAC, TD3, TQC, CrossQ"),
        ("SAC", {"lstm_size": 8}, "lstm_size has no effect in SAC. It works with RecurrentPPO"),
        ("ARS", {"critic": [8]}, "critic has no effect in ARS"),
        ("ARS", {"layer_norm": True}, "layer_norm has no effect in ARS"),
        ("ARS", {"weight_decay": 0.1}, "weight_decay has no effect in ARS"),
        ("ARS", {"init": "orthogonal"}, "init has no effect in ARS"),
        ("ARS", {"extractor": {"type": "flatten"}}, "extractor has no effect in ARS"),
        ("ARS", {"actor": None, "activation": "relu"}, "activation has no effect in ARS"),
        ("CrossQ", {"layer_norm": True}, "layer_norm has no effect in CrossQ"),
        ("TD3", {"log_std_init": 0.0}, "log_std_init has no effect in TD3"),
        ("SAC", {"log_std_init": 0.0}, "no effect in SAC without agent.hyperparameters.use_sde"),
        ("PPO", {"activation": "rleu"}, r"unknown activation 'rleu'.*Did you mean 'relu'\?"),
        ("PPO", {"activation": "fractions:Fraction"}, "not a class derived from torch.nn.Module"),
        ("PPO", {"extractor": {"type": "nature"}}, r"Did you mean 'nature_cnn'\?"),
        ("PPO", {"extractor": {"type": "nature_cnn"}}, "'nature_cnn' needs images"),
        ("PPO", {"extractor": {"type": "combined"}}, "'combined' needs Dict observations"),
        ("PPO", {"extractor": {"type": "torch.nn:ReLU"}}, "derived from.*BaseFeaturesExtractor"),
        ("PPO", {"extractor": {"kwargs": {"feature_dim": 3}}}, "has no argument 'feature_dim'"),
    ],
)
def test_a_network_setting_that_cannot_work_is_an_error(name, network, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check_fits(small_agent(name, network=network), VECTOR, FORCE)
    assert "\n" not in str(caught.value)


def test_flatten_is_refused_for_dict_observations():
    config = small_agent("PPO", network={"extractor": {"type": "flatten"}})
    with pytest.raises(ConfigError, match="'flatten' needs observations that are one array"):
        check_fits(config, MIXED, FORCE)


def test_log_std_is_refused_with_discrete_actions():
    config = small_agent("PPO", network={"log_std_init": 0.0})
    with pytest.raises(ConfigError, match="no effect in PPO with Discrete actions"):
        check_fits(config, IMAGE, spaces.Discrete(2))
