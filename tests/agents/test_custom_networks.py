"""Networks: what the record says is what is built, in the agent and in the network alone."""

import copy

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from roboyard.agents import build_agent, build_policy
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import FORCE, IMAGE, MIXED, VECTOR, FakeEnv

NOT_ARS = ("PPO", "A2C", "TRPO", "RecurrentPPO", "SAC", "TD3", "TQC", "CrossQ")
LEARN_FROM_IMAGES = ("PPO", "TD3")  # Two are enough of the slowest part of this file.
CAN_NORMALISE = READS_DICTS = tuple(name for name in NOT_ARS if name != "CrossQ")


class Doubled(BaseFeaturesExtractor):
    """A user's extractor."""

    def __init__(self, observation_space, gain=2.0):
        super().__init__(observation_space, int(np.prod(observation_space.shape)))
        self.gain = gain

    def forward(self, observations):
        return self.gain * observations.flatten(1)


def agent_of(name, network, observation_space=VECTOR, **sections):
    env = DummyVecEnv([lambda: FakeEnv(observation_space, FORCE)] * 2)
    return build_agent(small_agent(name, network=network, **sections), env, seed=0)


def actor_layers(policy):
    for path in ("mlp_extractor.policy_net", "actor.latent_pi", "actor.mu", "action_net"):
        try:
            found = policy.get_submodule(path)
        except AttributeError:
            continue
        if isinstance(found, nn.Sequential):
            return list(found)
    raise AssertionError("no actor")


def optimisers(policy):
    found = [getattr(module, "optimizer", None) for module in policy.modules()]
    return [optimiser for optimiser in found if optimiser is not None]


def optimised(policy):
    groups = [optimiser.param_groups for optimiser in optimisers(policy)]
    return [id(value) for (group,) in groups for value in group["params"]]


@pytest.mark.parametrize("name", (*NOT_ARS, "ARS"))
def test_widths_and_activation_are_those_of_the_record(name):
    agent = agent_of(name, {"actor": [5, 7], "activation": "silu"})
    layers = actor_layers(agent.policy)
    widths = [layer.out_features for layer in layers if isinstance(layer, nn.Linear)]
    assert widths[:2] == [5, 7]
    assert sum(isinstance(layer, nn.SiLU) for layer in layers) == 2


@pytest.mark.parametrize(
    ("name", "critic", "actor"),
    [
        ("PPO", "mlp_extractor.value_net", 64),
        ("SAC", "critic.qf0", 256),
        ("TD3", "critic.qf0", 400),
    ],
)
def test_a_part_that_is_not_given_keeps_the_algorithms_widths(name, critic, actor):
    policy = agent_of(name, {"actor": None, "critic": [6]}).policy
    assert actor_layers(policy)[0].out_features == actor
    assert policy.get_submodule(critic)[0].out_features == 6


def test_crossq_keeps_its_wide_critic():
    policy = agent_of("CrossQ", {"actor": [6], "critic": None}).policy
    linear = [layer for layer in policy.critic.qf0 if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == [1024, 1024, 1]


def test_ars_is_linear_without_hidden_layers():
    policy = agent_of("ARS", {"actor": None}).policy
    assert [type(layer) for layer in policy.action_net] == [nn.Linear]


def test_an_activation_can_be_any_torch_module():
    layers = actor_layers(agent_of("PPO", {"activation": "torch.nn:Softplus"}).policy)
    assert any(isinstance(layer, nn.Softplus) for layer in layers)


@pytest.mark.parametrize("name", CAN_NORMALISE)
def test_layer_norm_follows_each_hidden_layer_and_is_trained(name):
    agent = agent_of(name, {"layer_norm": True})
    kinds = [type(layer) for layer in actor_layers(agent.policy)][:6]
    assert kinds[0:2] == [nn.Linear, nn.LayerNorm]
    assert kinds[3:5] == [nn.Linear, nn.LayerNorm]
    before = {key: value.clone() for key, value in agent.policy.state_dict().items()}
    agent.learn(32)
    norms = [
        (path, module)
        for path, module in agent.policy.named_modules()
        if isinstance(module, nn.LayerNorm)
    ]
    assert len(norms) >= 4
    for path, module in norms:
        assert not torch.equal(module.weight, before[f"{path}.weight"]), path


@pytest.mark.parametrize("name", CAN_NORMALISE)
def test_layer_norm_leaves_each_parameter_in_exactly_one_optimiser(name):
    plain = optimised(agent_of(name, {}).policy)
    policy = agent_of(name, {"layer_norm": True}).policy
    normed = optimised(policy)
    assert len(normed) == len(set(normed))
    trained = [
        value
        for path, module in policy.named_modules()
        if isinstance(module, nn.LayerNorm) and "_target" not in path
        for value in module.parameters()
    ]
    assert len(normed) == len(plain) + len(trained)
    assert {id(value) for value in trained} <= set(normed)


@pytest.mark.parametrize("name", ["SAC", "TQC", "TD3"])
@pytest.mark.parametrize("network", [{"layer_norm": True}, {"init": "orthogonal"}], ids=str)
def test_target_networks_start_equal_to_the_networks_they_follow(name, network):
    policy = agent_of(name, network).policy
    target = policy.critic_target.state_dict()
    for key, value in policy.critic.state_dict().items():
        assert torch.equal(value, target[key])


def test_layer_norm_keeps_the_optimisers_settings():
    policy = agent_of("PPO", {"layer_norm": True, "weight_decay": 0.1}).policy
    (optimiser,) = optimisers(policy)
    assert type(optimiser) is torch.optim.AdamW
    assert optimiser.defaults["weight_decay"] == 0.1
    assert optimiser.defaults["eps"] == 1e-5
    assert optimiser.defaults["lr"] == 3e-4


@pytest.mark.parametrize("name", ["PPO", "TRPO", "RecurrentPPO"])
@pytest.mark.parametrize("network", [{}, {"layer_norm": True, "weight_decay": 0.1}], ids=str)
def test_adam_takes_its_fused_step_on_the_cpu(name, network):
    policy = agent_of(name, network).policy
    assert all(optimiser.defaults["fused"] for optimiser in optimisers(policy))
    assert all(optimiser.defaults["eps"] == 1e-5 for optimiser in optimisers(policy))


def test_a_run_continued_from_its_optimisers_state_is_the_same_to_the_bit():
    first, second = agent_of("PPO", {}), agent_of("PPO", {})
    first.learn(16)
    second.policy.load_state_dict(first.policy.state_dict())
    second.policy.optimizer.load_state_dict(copy.deepcopy(first.policy.optimizer.state_dict()))
    for agent in (first, second):
        torch.manual_seed(0)
        observation = torch.ones(4, 3)
        values, log_prob, _ = agent.policy.evaluate_actions(observation, torch.zeros(4, 2))
        agent.policy.optimizer.zero_grad()
        (values.pow(2).mean() - log_prob.mean()).backward()
        agent.policy.optimizer.step()
    for one, other in zip(first.policy.parameters(), second.policy.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", NOT_ARS)
def test_weight_decay_reaches_every_optimiser_and_changes_nothing_else(name):
    plain = optimisers(agent_of(name, {}).policy)
    decayed = optimisers(agent_of(name, {"weight_decay": 0.01}).policy)
    for before, after in zip(plain, decayed, strict=True):
        assert after.defaults["weight_decay"] == 0.01
        for key in ("lr", "eps", "betas", "alpha"):
            assert before.defaults.get(key) == after.defaults.get(key), key


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
def test_orthogonal_layers_are_orthogonal_and_biases_zero(name):
    layer = actor_layers(agent_of(name, {"init": "orthogonal", "actor": [3, 8]}).policy)[0]
    gram = layer.weight @ layer.weight.T
    assert torch.allclose(gram, 2.0 * torch.eye(3), atol=1e-5)
    assert not layer.bias.any()


@pytest.mark.parametrize("name", ["PPO", "SAC"])
def test_xavier_weights_stay_within_their_bound(name):
    layer = actor_layers(agent_of(name, {"init": "xavier_uniform", "actor": [64, 8]}).policy)[0]
    bound = (6.0 / (3 + 64)) ** 0.5
    assert 0.9 * bound < layer.weight.abs().max() <= bound


@pytest.mark.parametrize("init", ["orthogonal", "xavier_uniform", "kaiming_uniform"])
@pytest.mark.parametrize("name", NOT_ARS)
def test_every_initialisation_builds_and_learns(name, init):
    agent_of(name, {"init": init}).learn(16)


@pytest.mark.parametrize("name", ["SAC", "TQC", "CrossQ", "PPO", "A2C"])
def test_gsde_explores_with_the_given_standard_deviation(name):
    agent = agent_of(name, {"log_std_init": -1.5}, hyperparameters={"use_sde": True})
    log_std = agent.policy.state_dict().get("log_std", None)
    log_std = agent.policy.actor.log_std if log_std is None else log_std
    assert torch.equal(log_std, torch.full_like(log_std, -1.5))
    agent.learn(24)
    alone = build_policy(small_agent(name, hyperparameters={"use_sde": True}), VECTOR, FORCE)
    alone.load_state_dict(agent.policy.state_dict())


def test_the_standard_deviation_of_ppo_starts_where_it_is_told():
    assert agent_of("PPO", {"log_std_init": -0.5}).policy.log_std.tolist() == [-0.5, -0.5]


@pytest.mark.parametrize("name", ["SAC", "TD3", "TQC", "CrossQ"])
def test_the_number_of_critics_is_that_of_the_record(name):
    assert len(agent_of(name, {"num_critics": 3}).policy.critic.q_networks) == 3


def test_the_lstm_has_the_width_of_the_record():
    assert agent_of("RecurrentPPO", {"lstm_size": 12}).policy.lstm_actor.hidden_size == 12


@pytest.mark.parametrize("name", NOT_ARS)
def test_images_go_through_a_cnn_whatever_the_order_of_their_channels(name):
    agent = agent_of(name, {"extractor": {"kwargs": {"features_dim": 16}}}, IMAGE)
    extractor = next(m for m in agent.policy.modules() if isinstance(m, NatureCNN))
    assert extractor.features_dim == 16
    assert agent.observation_space.shape == (3, 40, 36)
    if name in LEARN_FROM_IMAGES:
        agent.learn(16)


@pytest.mark.parametrize("name", READS_DICTS)
def test_dict_observations_join_a_cnn_and_vectors(name):
    agent = agent_of(name, {"extractor": {"kwargs": {"cnn_output_dim": 16}}}, MIXED)
    extractor = next(m for m in agent.policy.modules() if hasattr(m, "extractors"))
    assert isinstance(extractor.extractors["camera"], NatureCNN)
    assert isinstance(extractor.extractors["joints"], nn.Flatten)
    if name in LEARN_FROM_IMAGES:
        agent.learn(16)


def test_images_can_be_flattened_instead():
    agent = agent_of("PPO", {"extractor": {"type": "flatten"}}, IMAGE)
    assert isinstance(agent.policy.features_extractor, FlattenExtractor)


@pytest.mark.parametrize("name", ["PPO", "SAC"])
@pytest.mark.parametrize("shared", [True, False])
def test_actor_and_critic_share_the_extractor_or_not(name, shared):
    network = {"extractor": {"shared": shared, "kwargs": {"features_dim": 8}}, "layer_norm": True}
    policy = agent_of(name, network, IMAGE).policy
    if name == "PPO":
        first, second = policy.pi_features_extractor, policy.vf_features_extractor
    else:
        first, second = policy.actor.features_extractor, policy.critic.features_extractor
    assert (first is second) == shared


def test_a_users_extractor_is_found_by_entry_with_its_arguments():
    entry = f"{__name__}:Doubled"
    agent = agent_of("SAC", {"extractor": {"type": entry, "kwargs": {"gain": 3.0}}})
    assert isinstance(agent.policy.actor.features_extractor, Doubled)
    assert agent.policy.actor.features_extractor.gain == 3.0


def test_discrete_observations_are_read():
    agent = agent_of("PPO", {}, spaces.Discrete(4))
    agent.learn(16)
    assert actor_layers(agent.policy)[0].in_features == 4
