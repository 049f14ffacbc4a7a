"""Memories are read, written and compared."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import (
    DelayObservation,
    FrameStackObservation,
    NormalizeObservation,
    NormalizeReward,
    StickyAction,
    TimeLimit,
)
from test_recorded import Kept, Walk, run

from roboyard.envs.memory import Changes, fingerprint, read_memory, write_memory
from roboyard.envs.recorded import LimitedSnapshotEnv, RecordedEnv
from roboyard.errors import SimulationError


class Lag(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Shows the observation of the step before, over the ends of episodes too."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.last = np.zeros(1, np.float32)

    def observation(self, observation: Any) -> Any:
        shown, self.last = self.last, observation
        return shown


class OfferedLag(Lag):
    """Offers its memory."""

    def state(self) -> dict[str, Any]:
        return {"last": self.last}

    def load_state(self, state: dict[str, Any]) -> None:
        self.last = state["last"]


class Secretive(OfferedLag):
    """Offers what no snapshot holds."""

    def state(self) -> dict[str, Any]:
        return {"last": object()}


WRAPPERS = {
    "lag": OfferedLag,
    "normalised": NormalizeObservation,
    "rewards": NormalizeReward,
    "stacked": lambda env: FrameStackObservation(env, 3),
    "delayed": lambda env: DelayObservation(env, 2),
    "sticky": lambda env: StickyAction(env, 0.3),
    "limited": lambda env: TimeLimit(env, 8),
}


@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS.keys())
@pytest.mark.parametrize("around", ["snapshots", "episodes"])
def test_wrappers_come_back_as_they_were(wrapper: Any, around: str) -> None:
    kind, inner = (LimitedSnapshotEnv, Kept) if around == "snapshots" else (RecordedEnv, Walk)
    old, new = kind(wrapper(inner())), kind(wrapper(inner()))
    old.reset(seed=3)
    run(old, 0, 45)
    new.reset(seed=3)
    data = old.snapshot()
    assert new.restore(data) == ""
    old.unwrapped.np_random.bit_generator.state = new.unwrapped.np_random.bit_generator.state
    assert run(new, 45, 30) == run(old, 45, 30)


def test_a_wrapper_that_changes_and_offers_nothing_is_named() -> None:
    env = LimitedSnapshotEnv(Lag(Kept()))
    assert env.forgotten() == ""
    env.reset(seed=3)
    run(env, 0, 3)
    assert env.forgotten() == (
        "the wrapper 'Lag' changes its attributes (last) and offers no state() and load_state()"
    )
    offered = LimitedSnapshotEnv(OfferedLag(Kept()))
    offered.reset(seed=3)
    run(offered, 0, 3)
    assert offered.forgotten() == ""


def test_a_memory_that_no_snapshot_can_hold_is_refused() -> None:
    env = LimitedSnapshotEnv(Secretive(Kept()))
    env.reset(seed=3)
    with pytest.raises(SimulationError, match="is a object, which a snapshot cannot hold"):
        env.snapshot()


def test_changes_are_seen_in_arrays_objects_and_generators() -> None:
    class Owner:
        def __init__(self) -> None:
            self.array, self.same, self.generator = np.zeros(3), [1, 2], np.random.default_rng(0)
            self.inner, self.file = {"deep": [0]}, open("/dev/null")  # noqa: SIM115

    owner = Owner()
    changes = Changes(owner)
    assert changes.names() == []
    owner.array[1] = 1.0
    owner.inner["deep"].append(1)
    owner.generator.random()
    owner.new = 1  # type: ignore[attr-defined]
    assert changes.names() == ["array", "generator", "inner", "new"]
    owner.file.close()


def test_what_cannot_be_pickled_is_looked_into() -> None:
    holder = {"call": lambda: 0, "count": 0}
    before = fingerprint(holder)
    holder["count"] = 1
    assert fingerprint(holder) != before


def test_both_pairs_of_names_are_understood() -> None:
    class Other:
        value = 1

        def get_state(self) -> dict[str, int]:
            return {"value": self.value}

        def set_state(self, state: dict[str, int]) -> None:
            self.value = state["value"]

    one, two = Other(), Other()
    one.value = 5
    write_memory(two, read_memory(one))
    assert two.value == 5
    assert read_memory(object()) is None
