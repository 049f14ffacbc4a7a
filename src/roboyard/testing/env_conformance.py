"""The suite that every robot environment must pass; subclass it to test yours.

Example::

    class TestMyRobot(EnvConformance):
        config = EnvConfig(id="my_package:MyRobotEnv")

Pytest finds the methods whose names are claims. The environment must derive from
``BaseRobotEnv``; processes started by the suite create it from ``config`` alone.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, ClassVar, NamedTuple, cast

import gymnasium
import numpy as np
import psutil
from numpy.typing import NDArray

from roboyard.config.schema import EnvConfig
from roboyard.envs import BaseRobotEnv, make_env
from roboyard.errors import RoboyardError
from roboyard.registry import resolve_entry

RobotEnv = BaseRobotEnv[Any, Any]


class Step(NamedTuple):
    """What one control step returned, the observation flattened."""

    observation: NDArray[np.float64]
    reward: float
    terminated: bool
    truncated: bool


def roll(env: RobotEnv, steps: int, seed: int) -> list[Step]:
    """Return ``steps`` control steps under random actions, from the present state on."""
    generator = np.random.default_rng(seed)
    return [_step(env, generator) for _ in range(steps)]


def _step(env: RobotEnv, generator: np.random.Generator) -> Step:
    space = env.action_space
    space.seed(int(generator.integers(2**31)))
    observation, reward, terminated, truncated, _ = env.step(space.sample())
    step = Step(flat(env, observation), float(reward), bool(terminated), bool(truncated))
    if terminated or truncated:
        env.reset()
    return step


def flat(env: RobotEnv, observation: object) -> NDArray[np.float64]:
    """Return ``observation`` as one vector."""
    return np.array(gymnasium.spaces.flatten(env.observation_space, observation), dtype=np.float64)


def same(first: list[Step], second: list[Step]) -> bool:
    """Return whether two trajectories are equal, bit for bit."""
    return all(
        np.array_equal(a.observation, b.observation) and a[1:] == b[1:]
        for a, b in zip(first, second, strict=True)
    )


def _roll_elsewhere(config: EnvConfig, data: bytes, steps: int, seed: int) -> list[Step]:
    with closing(cast("RobotEnv", make_env(config))) as env:
        env.restore(data)
        return roll(env, steps, seed)


@contextmanager
def refused() -> Iterator[None]:
    """Expect an error of the RoboyardError tree with one line."""
    try:
        yield
    except RoboyardError as error:
        text = str(error)
        assert text, "the error says nothing"
        assert "\n" not in text, f"the error has several lines: {text}"
    else:
        raise AssertionError("nothing was refused")


class EnvConformance:
    """Claims about one environment."""

    config: ClassVar[EnvConfig]
    """The environment under test."""
    steps: ClassVar[int] = 60
    """Control steps of each trajectory."""

    def make(self, **kwargs: Any) -> RobotEnv:  # noqa: ANN401
        """Create the environment."""
        env = make_env(self.config, **kwargs)
        assert isinstance(env, BaseRobotEnv), f"{type(env).__name__} is no BaseRobotEnv"
        return env

    def start(self, seed: int = 0) -> RobotEnv:
        """Create the environment and reset it."""
        env = self.make()
        env.reset(seed=seed)
        return env

    def test_passes_the_checkers_of_gymnasium_and_sb3_without_a_warning(self) -> None:
        """Run ``check_env`` of both, with warnings as errors."""
        for entry, options in (
            ("gymnasium.utils.env_checker:check_env", {"skip_render_check": True}),
            ("stable_baselines3.common.env_checker:check_env", {}),
        ):
            check = cast("Callable[..., None]", resolve_entry(entry))
            with closing(self.make()) as env, warnings.catch_warnings():
                warnings.simplefilter("error")
                check(env, **options)

    def test_observations_are_in_their_space_and_rewards_finite(self) -> None:
        """Step with random actions."""
        with closing(self.start()) as env:
            observation, _ = env.reset(seed=3)
            for _ in range(self.steps):
                assert env.observation_space.contains(observation), observation
                observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
                assert math.isfinite(reward)
                if terminated or truncated:
                    observation, _ = env.reset()

    def test_observations_do_not_share_memory(self) -> None:
        """An observation must not change when the environment goes on."""
        with closing(self.start()) as env:
            first, *_ = env.step(env.action_space.sample())
            kept = flat(env, first)
            env.step(env.action_space.sample())
            assert np.array_equal(kept, flat(env, first))

    def test_the_same_seed_gives_the_same_trajectory(self) -> None:
        """Compare two copies, one of which has a past."""
        with closing(self.start(7)) as fresh, closing(self.start(1)) as used:
            roll(used, self.steps, seed=5)
            used.reset(seed=7)
            expected = roll(fresh, self.steps, seed=2)
            assert same(expected, roll(used, self.steps, seed=2))

    def test_a_reset_tells_nothing_of_what_was_before(self) -> None:
        """Compare the observations of resets after different histories, and what follows them."""
        with closing(self.start(7)) as fresh, closing(self.make()) as used:
            expected = self._beginning(fresh, 9)
            for past in (0, 1, self.steps):
                used.reset(seed=3)
                roll(used, past, seed=5)
                data = used.snapshot()
                assert same(expected, self._beginning(used, 9)), f"after {past} steps"
                fresh.restore(data)
                assert same(expected, self._beginning(fresh, 9)), f"after a snapshot at {past}"

    def _beginning(self, env: RobotEnv, seed: int) -> list[Step]:
        observation, _ = env.reset(seed=seed)
        return [Step(flat(env, observation), 0.0, False, False), *roll(env, 2, seed=1)]

    def test_copies_do_not_touch_each_other(self) -> None:
        """Step two copies in turn, and compare with one alone."""
        with closing(self.start(7)) as alone:
            expected = roll(alone, self.steps, seed=2)
        with closing(self.start(7)) as first, closing(self.start(8)) as second:
            generator = np.random.default_rng(2)
            mixed = []
            for index in range(self.steps):
                mixed.append(_step(first, generator))
                roll(second, 1, seed=index)
            assert same(expected, mixed)

    def test_global_random_generators_are_left_alone(self) -> None:
        """Only ``self.np_random`` may be drawn from."""
        state = random.getstate(), np.random.get_state()[1].tobytes()  # type: ignore[index]
        with closing(self.start()) as env:
            roll(env, 5, seed=0)
        assert random.getstate() == state[0]
        assert np.random.get_state()[1].tobytes() == state[1]  # type: ignore[index]

    def test_a_snapshot_is_exact_in_the_same_environment(self) -> None:
        """Go on, go back, and go on again; right after a reset and in an episode."""
        with closing(self.start()) as env:
            for past in (0, 1, self.steps // 2):
                roll(env, past, seed=4)
                data = env.snapshot()
                expected = roll(env, self.steps, seed=2)
                env.restore(data)
                assert same(expected, roll(env, self.steps, seed=2)), f"after {past} steps"

    def test_a_snapshot_is_exact_in_another_environment(self) -> None:
        """Restore into a new copy, and into one that did something else."""
        with closing(self.start()) as env, closing(self.make()) as new:
            roll(env, self.steps // 2, seed=4)
            data = env.snapshot()
            expected = roll(env, self.steps, seed=2)
            new.restore(data)
            assert same(expected, roll(new, self.steps, seed=2))
            new.reset(seed=99)
            roll(new, 7, seed=98)
            new.restore(data)
            assert same(expected, roll(new, self.steps, seed=2))

    def test_a_snapshot_is_exact_in_another_process(self) -> None:
        """Restore in a process that never saw the environment."""
        with closing(self.start()) as env:
            roll(env, self.steps // 2, seed=4)
            data = env.snapshot()
            expected = roll(env, self.steps, seed=2)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            arguments = (self.config, data, self.steps, 2)
            assert same(expected, pool.apply(_roll_elsewhere, arguments))

    def test_taking_a_snapshot_changes_nothing(self) -> None:
        """Compare a run with many snapshots to one without."""
        with closing(self.start()) as env, closing(self.start()) as watched:
            generator = np.random.default_rng(2)
            expected = roll(env, self.steps, seed=2)
            for step in expected:
                watched.snapshot()
                assert same([step], [_step(watched, generator)])

    def test_damaged_snapshots_are_refused_and_change_nothing(self) -> None:
        """Give cut, altered and foreign bytes."""
        with closing(self.start()) as env:
            roll(env, 3, seed=4)
            data = env.snapshot()
            altered = data[:-1] + bytes([data[-1] ^ 1])
            for wrong in (b"", b"garbage", data[: len(data) // 2], altered, env.world.snapshot()):
                with refused():
                    env.restore(wrong)
            expected = roll(env, 5, seed=2)
            env.restore(data)
            assert same(expected, roll(env, 5, seed=2))

    def test_episodes_are_truncated_at_the_limit(self) -> None:
        """Set a limit of three steps."""
        with closing(self.make()) as env:
            env.max_episode_steps = 3
            env.reset(seed=0)
            ends = [bool(env.step(env.action_space.sample())[3]) for _ in range(3)]
        assert ends == [False, False, True]

    def test_pictures_are_taken_without_a_display(self) -> None:
        """Take one; something must be on it."""
        with closing(self.make(render_mode="rgb_array")) as env:
            env.reset(seed=0)
            picture = env.render()
        assert picture is not None
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert picture.std() > 1, "the picture is empty"

    def test_a_closed_environment_refuses_everything(self) -> None:
        """Close it twice, then use it."""
        env = self.start()
        env.close()
        env.close()
        for use in (env.reset, env.snapshot, lambda: env.step(env.action_space.sample())):
            with refused():
                use()

    def test_a_step_before_the_first_reset_is_refused(self) -> None:
        """Step too early."""
        with closing(self.make()) as env, refused():
            env.step(env.action_space.sample())

    def test_creating_and_closing_leaks_nothing(self) -> None:
        """Count open files and memory over a number of cycles."""
        process = psutil.Process(os.getpid())
        counts = []
        for _ in range(4):
            for _ in range(5):
                self.start().close()
            counts.append((process.num_fds(), process.memory_info().rss))
        assert counts[-1][0] <= counts[0][0], "open files pile up"
        assert counts[-1][1] - counts[1][1] < 40 * 2**20, "memory piles up"
