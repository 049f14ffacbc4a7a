"""What a robot's state says of parts that nobody reads."""

import pytest

from roboyard.envs.task_env import TaskEnv
from roboyard.errors import SimulationError


def test_velocities_of_links_that_no_term_reads_are_an_error_that_says_what_to_declare():
    env = TaskEnv("ant-run")
    env.reset(seed=0)
    assert len(env.state.link_centers) == len(env.state.link_rows) > 0
    with pytest.raises(SimulationError, match="Declare LINK_MOTION, instead of LINKS"):
        _ = env.state.link_velocities
    env.close()
