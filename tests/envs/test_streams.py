"""Each copy of an environment draws from global generators of its own."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest
from test_recorded import ACTIONS, Walk, run

from roboyard.config.schema import EnvConfig
from roboyard.envs import streams
from roboyard.envs.recorded import RecordedEnv
from roboyard.envs.vector.factory import make_vec_env


class OldWalk(Walk):
    """Draws from what the whole process draws from."""

    def step(self, action: Any) -> Any:
        self.x += np.random.normal() + random.random() + self._drawn_by_torch()
        return super().step(action)

    def _drawn_by_torch(self) -> float:
        return float(sys.modules["torch"].rand(1)) if "torch" in sys.modules else 0.0


class LateWalk(Walk):
    """Has not drawn yet when the watch is over."""

    def step(self, action: Any) -> Any:
        self.x += np.random.normal() if self.steps > 3 else 0.0
        return super().step(action)


def test_what_is_drawn_from_the_process_is_repeated_exactly() -> None:
    old, new = RecordedEnv(OldWalk()), RecordedEnv(OldWalk())
    old.reset(seed=3)
    run(old, 0, 25)
    np.random.seed(77)
    new.reset(seed=3)
    assert new.restore(old.snapshot()) == ""
    assert run(new, 25, 60) == run(old, 25, 60)


def test_the_process_keeps_its_own_generators() -> None:
    env = RecordedEnv(OldWalk())
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.normal()
    random.seed(1)
    np.random.seed(1)
    env.reset(seed=3)
    run(env, 0, 5)
    assert (random.random(), np.random.normal()) == expected


def test_only_generators_that_are_drawn_from_are_swapped_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "WATCHED", 5)
    plain, old = RecordedEnv(Walk()), RecordedEnv(OldWalk())
    for env in (plain, old):
        env.reset(seed=3)
        run(env, 0, 10)
    assert not plain._streams.is_needed
    assert {"numpy", "python"} <= set(old._streams.used)


def test_an_environment_that_draws_late_is_not_repeated_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "WATCHED", 2)
    old, new = RecordedEnv(LateWalk()), RecordedEnv(LateWalk())
    old.reset(seed=3)
    run(old, 0, 15)
    new.reset(seed=3)
    assert "now gives the reward" in new.restore(old.snapshot())


def test_copies_draw_the_same_in_workers_and_in_one_process() -> None:
    config = EnvConfig(id=f"{__name__}:NumpyWalk")
    seen = []
    for workers in (0, 1):
        venv = make_vec_env(config, num_envs=2, seeds=[3, 4], workers=workers, resumable=True)
        try:
            seen.append([venv.reset().tobytes()])
            for action in ACTIONS[:30]:
                seen[-1].append(venv.step(np.array([action, action]))[0].tobytes())
        finally:
            venv.close()
    assert seen[0] == seen[1]


def test_workers_seed_their_process_for_environments_with_snapshots() -> None:
    config = EnvConfig(id=f"{__name__}:KeptWalk")
    venv = make_vec_env(config, num_envs=1, seeds=[3], workers=1)
    try:
        venv.reset()
        seen = venv.step(ACTIONS[:1])[0]
    finally:
        venv.close()
    alone = KeptWalk()
    np.random.seed(3)
    alone.reset(seed=3)
    assert seen[0].tobytes() == alone.step(ACTIONS[0])[0].tobytes()


class NumpyWalk(Walk):
    """Draws from NumPy's generator alone."""

    def step(self, action: Any) -> Any:
        self.x += np.random.normal()
        return super().step(action)


class KeptWalk(NumpyWalk):
    """Offers snapshots, so that nobody repeats it."""

    def snapshot(self) -> bytes:
        return np.array([self.x, self.steps]).tobytes()

    def restore(self, data: bytes) -> None:
        self.x, self.steps = np.frombuffer(data).tolist()
