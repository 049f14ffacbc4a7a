"""Numbers next to zero are zero while an algorithm learns, and only then."""

import pytest
import torch

from roboyard.agents.fast import Lanes
from roboyard.agents.fast.denormals import flushed


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def smallest():
    return (torch.tensor(1e-38) * 0.1).item()


def test_what_is_next_to_zero_becomes_zero_in_the_block_only():
    with flushed():
        assert smallest() == 0
        with flushed():
            assert smallest() == 0
        assert smallest() == 0
    assert smallest() > 0


@pytest.mark.parametrize("count", [1, 2])
def test_both_lanes_flush_inside_the_block(count):
    with flushed():
        assert Lanes(count).both(smallest, smallest) == (0, 0)
    assert smallest() > 0


def test_a_mode_that_the_user_has_set_stays():
    torch.set_flush_denormal(True)
    try:
        with flushed():
            pass
        assert smallest() == 0
    finally:
        torch.set_flush_denormal(False)


def test_several_threads_keep_their_mode():
    torch.set_num_threads(2)
    with flushed():
        assert smallest() > 0
