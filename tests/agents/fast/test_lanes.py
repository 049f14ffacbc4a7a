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


@pytest.mark.parametrize("count", [1, 2])
def test_lanes_that_were_woken_do_what_they_are_called_for(count):
    lanes = Lanes(count)
    lanes.wake()
    assert lanes.both(lambda: 1, lambda: 2) == (1, 2)
    lanes.wake()
    lanes.close()
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


def handing_over(values, fails_at=None):
    got = []
    for number, value in enumerate(values):
        if number == fails_at:
            raise ValueError(f"failed at {number}")
        got.append((yield value))
    return got


@pytest.mark.parametrize("count", [1, 2])
def test_lanes_that_meet_get_what_the_other_gives(count):
    lanes = Lanes(count)
    assert lanes.meet(handing_over("abc"), handing_over("xyz")) == (list("xyz"), list("abc"))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("guilty", [0, 1])
@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_a_lane_that_fails_between_meetings_ends_both_and_they_stay_usable(count, guilty, fails_at):
    lanes = Lanes(count)
    pair = [handing_over("abc"), handing_over("xyz")]
    pair[guilty] = handing_over("abc", fails_at)
    with pytest.raises(ValueError, match=f"failed at {fails_at}"):
        lanes.meet(*pair)
    assert lanes.meet(handing_over("a"), handing_over("b")) == (["b"], ["a"])
