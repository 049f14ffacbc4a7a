"""Pairs of calls, one after the other or at the same time."""

import pickle
import threading

import pytest

from roboyard.agents.fast import Lanes


def test_two_lanes_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=30)
    assert Lanes(2).both(meeting.wait, meeting.wait) in [(0, 1), (1, 0)]


def test_one_lane_runs_in_order_in_the_callers_thread():
    names = []
    Lanes(1).both(*[lambda: names.append(threading.current_thread().name)] * 2)
    assert names == [threading.current_thread().name] * 2


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("guilty", [0, 1])
def test_an_error_in_a_lane_is_raised_and_the_lanes_stay_usable(count, guilty):
    lanes = Lanes(count)
    calls = [lambda: 1, lambda: 2]
    calls[guilty] = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        lanes.both(*calls)
    assert lanes.both(lambda: 1, lambda: 2) == (1, 2)


def test_the_thread_ends_with_the_lanes():
    lanes = Lanes(2)
    lanes.both(int, int)
    before = threading.active_count()
    lanes.close()
    assert threading.active_count() == before - 1


def test_lanes_travel_without_their_thread():
    lanes = Lanes(2)
    lanes.both(int, int)
    assert pickle.loads(pickle.dumps(lanes)).both(lambda: 1, lambda: 2) == (1, 2)
