"""Each task of the library has a config that trains it."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboyard.config.load import load
from roboyard.envs.factory import make_env
from roboyard.envs.task_env import TaskEnv
from roboyard.envs.tasks import list_tasks

CONFIGS = Path(__file__).parents[2] / "configs"
PUBLISHED = ("ant-run", "halfcheetah-run", "hopper-run", "walker2d-run")


@pytest.mark.parametrize("name", [*PUBLISHED, "humanoid-run", "reacher", "cartpole-balance",
                                  "cartpole-swingup", "panda-reach", "panda-push",
                                  "panda-pick-and-place", "a1-velocity",
                                  "kuka-vision-reach"])  # fmt: skip
def test_a_task_has_a_config_that_loads(name: str) -> None:
    assert name in list_tasks()
    config = load(CONFIGS / f"{name}.yaml")
    assert (config.name, config.env.id) == (name, name)
    env = make_env(config.env)
    assert isinstance(env, TaskEnv)
    env.close()
    assert (CONFIGS / f"{name}.yaml").read_text().startswith("# ")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_results_are_trained_with_the_published_hyperparameters(name: str) -> None:
    config = load(CONFIGS / f"{name}.yaml")
    chosen = config.agent.hyperparameters.model_dump()
    published = {
        "learning_rate": 3e-5,
        "n_steps": 512,
        "batch_size": 128,
        "n_epochs": 20,
        "gamma": 0.99,
        "gae_lambda": 0.9,
        "use_sde": True,
        "sde_sample_freq": 4,
    }
    assert published.items() <= chosen.items()
    assert (config.env.num_envs, config.train.total_steps) == (16, 2_000_000)
    network = config.agent.network
    assert (network.actor, network.activation, network.init) == ((256, 256), "relu", "torch")
    assert network.log_std_init == (-1.0 if name == "ant-run" else -2.0)
