import gc
import random

import numpy as np
import pytest
import torch
from evaluation_envs import ActionSum, Countdown, Remembering
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO

from roboyard.config.schema import EnvConfig
from roboyard.errors import ConfigError, PolicyError, SimulationError
from roboyard.evaluation.evaluator import Evaluator
from roboyard.evaluation.policies import resolve_policy
from roboyard.seeds import derive_seeds

COUNTDOWN = EnvConfig(id="evaluation_envs:Countdown", workers=0)
ACTION_SUM = EnvConfig(id="evaluation_envs:ActionSum", workers=0)
PENDULUM = EnvConfig(id="Pendulum-v1", max_episode_steps=12, workers=0)
CARTPOLE = EnvConfig(id="roboyard/SimpleRobot-v0", workers=0)


@pytest.fixture(autouse=True)
def _clean():
    Countdown.seeds.clear()
    Countdown.opened = 0


def evaluate(env, policy, **kwargs):
    with Evaluator(env, **kwargs) as evaluator:
        return evaluator.evaluate(policy)


def zero(env):
    return resolve_policy("zero", env)


def trained(algorithm, network, env="Pendulum-v1"):
    small = {"lstm_hidden_size": 32} if algorithm is RecurrentPPO else {}
    return algorithm(network, env, n_steps=64, device="cpu", seed=3, policy_kwargs=small)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(
    ("algorithm", "network"), [(PPO, "MlpPolicy"), (RecurrentPPO, "MlpLstmPolicy")]
)
def test_the_result_is_bit_identical_for_every_number_of_environments(
    algorithm, network, deterministic
):
    policy = trained(algorithm, network)
    results = [
        evaluate(PENDULUM, policy, episodes=6, num_envs=num_envs, deterministic=deterministic)
        for num_envs in (1, 2, 4, 11)
    ]
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("spec", ["random", "zero", "evaluation_envs:lean"])
def test_baselines_give_the_same_result_for_every_number_of_environments(spec):
    results = [
        evaluate(CARTPOLE, resolve_policy(spec, CARTPOLE), episodes=5, num_envs=num_envs)
        for num_envs in (1, 2, 4)
    ]
    assert all(result == results[0] for result in results)


def test_worker_processes_give_the_same_result():
    policy = resolve_policy("random", CARTPOLE)
    here = evaluate(CARTPOLE, policy, episodes=5, num_envs=3)
    assert evaluate(CARTPOLE, policy, episodes=5, num_envs=3, workers=2) == here
    configured = CARTPOLE.model_copy(update={"workers": 1})
    assert evaluate(configured, policy, episodes=5, num_envs=2) == here


def test_each_episode_starts_from_its_own_seed_and_only_those_are_run():
    evaluate(COUNTDOWN, zero(COUNTDOWN), episodes=9, num_envs=4, seed=5)
    started = [seed for seed in Countdown.seeds if seed is not None]
    assert sorted(started) == sorted(derive_seeds(5, "evaluation", 9))


def test_short_episodes_are_not_favoured():
    lengths = []
    for seed in derive_seeds(0, "evaluation", 20):
        env = Countdown()
        env.reset(seed=seed)
        lengths.append(env.length)
    assert len(set(lengths)) == 2
    for num_envs in (1, 3, 8):
        result = evaluate(COUNTDOWN, zero(COUNTDOWN), episodes=20, num_envs=num_envs)
        assert list(result.lengths) == lengths
        assert list(result.returns) == lengths


def test_fewer_episodes_are_the_first_of_more():
    more = evaluate(CARTPOLE, zero(CARTPOLE), episodes=5)
    fewer = evaluate(CARTPOLE, zero(CARTPOLE), episodes=3)
    assert more.returns[:3] == fewer.returns


def test_memory_starts_anew_with_each_episode():
    result = evaluate(ACTION_SUM, Remembering(), episodes=5, num_envs=2)
    assert result.returns == pytest.approx([1.5] * 5)


@pytest.mark.parametrize("deterministic", [True, False])
def test_global_generators_are_left_as_found(deterministic):
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    policy = trained(PPO, "MlpPolicy")
    before = states()
    evaluate(PENDULUM, policy, episodes=2, deterministic=deterministic)
    evaluate(ACTION_SUM, resolve_policy("evaluation_envs:noisy"), episodes=2)
    assert states() == before


def test_stochastic_evaluation_differs_from_deterministic_and_repeats():
    policy = trained(PPO, "MlpPolicy")
    first, again = (evaluate(PENDULUM, policy, episodes=3, deterministic=False) for _ in range(2))
    assert first == again
    assert first != evaluate(PENDULUM, policy, episodes=3)


def test_earlier_evaluations_do_not_influence_later_ones():
    random_policy, zero_policy = (resolve_policy(spec, CARTPOLE) for spec in ("random", "zero"))
    with Evaluator(CARTPOLE, episodes=3) as evaluator:
        first = evaluator.evaluate(zero_policy)
        evaluator.evaluate(random_policy)
        assert evaluator.evaluate(zero_policy) == first


def test_one_environment_is_open_at_a_time_and_closed_at_the_end():
    with Evaluator(COUNTDOWN, episodes=4, num_envs=2) as evaluator:
        policy = zero(COUNTDOWN)
        assert Countdown.opened == 0
        evaluator.evaluate(policy)
        evaluator.evaluate(policy)
        assert Countdown.opened == 2
    assert Countdown.opened == 0


def test_the_environment_is_closed_when_it_fails_and_when_the_evaluator_is_dropped():
    policy = zero(COUNTDOWN)
    failing = COUNTDOWN.model_copy(update={"kwargs": {"fail_at": 1}})
    evaluator = Evaluator(failing, episodes=2)
    with pytest.raises(RuntimeError, match="caught fire"):
        evaluator.evaluate(policy)
    assert Countdown.opened == 0
    Evaluator(COUNTDOWN, episodes=2).evaluate(policy)
    gc.collect()
    assert Countdown.opened == 0


def test_success_is_reported_only_where_the_task_tells():
    env = COUNTDOWN.model_copy(update={"kwargs": {"success_above": 10}})
    result = evaluate(env, zero(env), episodes=10)
    assert result.successes == tuple(length > 10 for length in result.lengths)
    assert result.success_rate == pytest.approx(np.mean(result.successes))
    silent = evaluate(COUNTDOWN, zero(COUNTDOWN), episodes=2)
    assert silent.successes is None
    assert silent.to_dict()["success_rate"] is None


def test_returns_are_summed_in_double_precision():
    env = COUNTDOWN.model_copy(update={"kwargs": {"reward": 0.1}})
    result = evaluate(env, zero(env), episodes=1, num_envs=1)
    expected = sum([0.1] * (result.lengths[0] - 1)) + 0.1 + result.lengths[0]
    assert result.returns[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("evaluation_envs:not_finite", r"'evaluation_envs:not_finite' .* not finite: \[nan\]"),
        ("evaluation_envs:too_many", r"'evaluation_envs:too_many' .* \(1, 2\) .* shape \(1, 1\)"),
        ("evaluation_envs:broken", r"'evaluation_envs:broken' failed .* ZeroDivisionError"),
    ],
)
def test_a_policy_that_fails_is_named(spec, message):
    with pytest.raises(PolicyError, match=message):
        evaluate(ACTION_SUM, resolve_policy(spec), episodes=2)


def test_an_action_outside_a_discrete_space_is_refused():
    env = EnvConfig(id="evaluation_envs:DiscreteActionSum", workers=0)
    with pytest.raises(PolicyError, match=r"returned action .* not in Discrete\(2\)"):
        evaluate(env, _Constant(np.array(7)), episodes=1)


def test_a_continuous_action_is_clipped_to_the_space():
    assert evaluate(ACTION_SUM, _Constant(np.array([9.0])), episodes=1).returns == (5.0,)


def test_spaces_that_do_not_fit_are_both_stated():
    with pytest.raises(PolicyError, match=r"'PPO'.*Box\(.*\(3,\).*Box\(.*\(2,\)"):
        evaluate(COUNTDOWN, trained(PPO, "MlpPolicy"), episodes=1)
    wide = _Constant(np.array([0.0]))
    wide.action_space = spaces.Box(-5.0, 5.0, (1,))
    with pytest.raises(PolicyError, match=r"action space is Box\(-5.0.*Box\(-1.0"):
        evaluate(ACTION_SUM, wide, episodes=1)


def test_wider_bounds_of_an_observation_still_fit():
    policy = _Constant(np.array([0.5]))
    policy.observation_space = spaces.Box(-np.inf, np.inf, ActionSum.observation_space.shape)
    assert evaluate(ACTION_SUM, policy, episodes=1).mean == pytest.approx(2.5)


def test_a_reward_that_is_not_finite_is_an_error():
    env = COUNTDOWN.model_copy(update={"kwargs": {"reward": "nan"}})
    with pytest.raises(SimulationError, match="reward that is not finite in evaluation episode"):
        evaluate(env, zero(COUNTDOWN), episodes=2)


@pytest.mark.parametrize(
    ("option", "value"), [("episodes", 0), ("num_envs", 0), ("seed", -1), ("workers", -1)]
)
def test_numbers_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=rf"{option} is {value}; it must be at least"):
        Evaluator(CARTPOLE, **{option: value})


def test_on_episode_hears_of_every_episode():
    heard = []
    with Evaluator(COUNTDOWN, episodes=7) as evaluator:
        result = evaluator.evaluate(zero(COUNTDOWN), heard.append)
    assert [record.total_reward for record in sorted(heard)] == list(result.returns)


class _Constant:
    def __init__(self, action):
        self.action = action

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.stack([self.action] * len(observation)), None


def test_an_evaluation_does_not_depend_on_earlier_ones():
    with Evaluator(EnvConfig(id="evaluation_envs:Hoarding", workers=0), episodes=3) as evaluator:
        policy = zero(EnvConfig(id="evaluation_envs:Hoarding", workers=0))
        assert evaluator.evaluate(policy) == evaluator.evaluate(policy)
