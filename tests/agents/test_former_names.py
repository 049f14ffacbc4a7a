"""Names of classes that have moved work for one more release."""

import pickle
import subprocess
import sys

import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.registry import resolve_entry
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import FakeEnv


@pytest.mark.parametrize("name", ["PPO", "A2C", "SAC", "TD3", "TRPO"])
def test_a_config_that_names_the_former_module_trains_the_same_class_and_is_told(name):
    config = small_agent(f"roboyard.agents.fast:{name}", network={"critic": [8, 8]})
    with pytest.warns(
        FutureWarning, match=rf"is now 'roboyard.agents.torch.{name.lower()}:{name}'"
    ):
        agent = build_agent(config, DummyVecEnv([FakeEnv]), seed=0)
    assert type(agent) is resolve_entry(f"roboyard.agents.torch.{name.lower()}:{name}")


def test_a_pickle_made_by_the_former_module_is_read():
    from roboyard.agents.torch.ppo import PPO

    former = b"croboyard.agents.fast.ppo\nPPO\n."  # as protocol 0 writes a class
    with pytest.warns(FutureWarning, match="one more release"):
        assert pickle.loads(former) is PPO


def test_a_name_that_never_was_there_is_no_former_name():
    with pytest.raises(ImportError):
        from roboyard.agents.fast import Nothing  # noqa: F401


def test_nothing_of_the_package_imports_the_former_module():
    code = (
        "import sys, roboyard.training.trainer, roboyard.agents.torch.ppo;"
        "sys.exit('roboyard.agents.fast' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
