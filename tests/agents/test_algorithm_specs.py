"""An algorithm is one record: a new one trains, is checked and is exported like the others."""

from pathlib import Path

import pytest
import stable_baselines3
from pydantic import PositiveFloat

from roboyard.agents.algorithms import algorithm_class, family
from roboyard.agents.fit import check_family
from roboyard.agents.hyperparameters import effective
from roboyard.config.algorithm_specs import ALGORITHMS, SPECS, AlgorithmSpec, find_spec
from roboyard.config.algorithms import SACHyperparameters
from roboyard.config.schema import ExperimentConfig
from roboyard.envs.factory import make_env
from roboyard.errors import ConfigError
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.policies.export.finalize import verify_graph
from roboyard.registry import resolve_entry
from roboyard.testing.agent_configs import small_agent
from roboyard.training.trainer import Trainer


class CalmHyperparameters(SACHyperparameters):
    calm: PositiveFloat = 1.0


CALM = AlgorithmSpec(
    name="CalmSAC",
    summary="SAC with less noise.",
    kind="off-policy",
    hyperparameters=CalmHyperparameters,
    base="training_algorithms:CalmSAC",
    torch="training_algorithms:CalmSAC",
    actor=(32, 32),
    critic=(32, 32),
    num_critics=True,
    log_std="with gSDE",
)


@pytest.fixture
def calm(monkeypatch):
    monkeypatch.setattr(ALGORITHMS, "_entries", dict(ALGORITHMS._entries))
    ALGORITHMS.register(CALM.name, CALM)


def experiment(algorithm, store="runs", **hyperparameters):
    small = {"buffer_size": 200, "learning_starts": 8, "batch_size": 8}
    return ExperimentConfig.model_validate(
        {
            "name": "calm",
            "store": str(store),
            "env": {"id": "roboyard/SimpleRobot-v0", "workers": 0},
            "agent": {"algorithm": algorithm, "hyperparameters": small | hyperparameters},
            "train": {"total_steps": 32},
            "evaluation": {"during_training": False, "final_episodes": 1},
            "video": {"final": False},
        }
    )


@pytest.mark.usefixtures("calm")
def test_an_algorithm_that_is_one_record_trains_and_is_exported(tmp_path: Path):
    config = experiment("calmsac", tmp_path, calm=0.25)
    result = Trainer(config, progress=False).train()
    assert result.steps == 32
    bundle = PolicyBundle.read(result.run_dir / "policy" / "last.zip")
    assert bundle.config.agent.algorithm == "CalmSAC"
    assert bundle.policy(trust_code=True).policy.actor.latent_pi[0].out_features == 256
    parity = verify_graph(bundle, make_env=lambda: make_env(config.env), count=10)
    assert parity.largest_difference <= parity.tolerance


@pytest.mark.usefixtures("calm")
def test_its_hyperparameters_are_checked_by_its_record():
    with pytest.raises(ValueError, match="calm of CalmSAC"):
        experiment("CalmSAC", calm=-1.0)
    with pytest.raises(ValueError, match="learning_starts: 5000 must be less than"):
        experiment("CalmSAC", learning_starts=5000)
    assert effective(experiment("CalmSAC", gamma=0.9).agent, "gamma", 0.5) == 0.9


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_what_a_record_says_is_so(spec):
    cls, base = resolve_entry(spec.torch), resolve_entry(spec.base)
    assert issubclass(cls, base)
    assert family(cls) is family(base) is spec
    off_policy = issubclass(cls, stable_baselines3.common.off_policy_algorithm.OffPolicyAlgorithm)
    assert off_policy == (spec.kind == "off-policy")
    if spec.jax is not None:
        assert issubclass(resolve_entry(spec.jax), base)


class Mine(stable_baselines3.SAC):
    """Known by its class only."""


OWN = f"{__name__}:Mine"


@pytest.mark.parametrize("entry", ["stable_baselines3:SAC", OWN])
def test_settings_of_a_class_that_cannot_be_right_together_are_refused(entry):
    with pytest.raises((ValueError, ConfigError), match="learning_starts: 5000 must be less than"):
        check_family(experiment(entry, learning_starts=5000))


@pytest.mark.parametrize("entry", ["stable_baselines3:SAC", OWN])
def test_the_discount_of_a_class_is_the_configs_or_its_own_default(entry):
    assert effective(small_agent(entry, hyperparameters={"gamma": 0.9}), "gamma", 0.5) == 0.9
    assert effective(small_agent(entry), "gamma", 0.5) == 0.99
    assert effective(small_agent("sb3_contrib:ARS"), "gamma", 0.5) == 0.5


def test_a_class_that_a_record_names_is_found_without_importing_it():
    assert find_spec("stable_baselines3:PPO") is find_spec("PPO")
    assert find_spec("somebody:PPO") is None
    assert algorithm_class(small_agent("PPO")).__module__ == "roboyard.agents.torch.ppo"
