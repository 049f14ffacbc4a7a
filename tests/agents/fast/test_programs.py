"""Recorded programs do what their function does, or the function itself is taken."""

import threading

import pytest
import torch
from torch import nn

from roboyard.agents.fast.programs import Programs, is_pure, record


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
    )


def gradients_of(net):
    parameters = list(net.parameters())

    def function(inputs, targets):
        loss = nn.functional.mse_loss(net(inputs), targets)
        return [loss.detach(), *torch.autograd.grad(loss, parameters)]

    return function


def batch(size=16):
    return torch.rand(size, 5), torch.rand(size, 2)


def test_a_program_gives_the_functions_bits_also_after_the_weights_have_changed_and_in_a_thread():
    net = network()
    function = gradients_of(net)
    program = record(function, batch())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.5)
    given = batch()
    results = [program(*given)]
    thread = threading.Thread(target=lambda: results.append(program(*given)))
    thread.start()
    thread.join()
    for result in results:
        for mine, expected in zip(result, function(*given), strict=True):
            assert torch.equal(mine, expected)
            assert not mine.requires_grad


def test_a_program_leaves_the_threads_modes_as_they_were():
    program = record(gradients_of(network()), batch())
    with pytest.raises(RuntimeError):
        program(torch.rand(16, 4), torch.rand(16, 2))
    assert torch.is_grad_enabled()
    assert torch._C._get_graph_executor_optimize()


def test_a_function_that_looks_at_values_is_not_recorded():
    def function(inputs):
        return [inputs if inputs.sum() > 0 else -inputs]

    assert record(function, [torch.rand(3)]) is None


def test_each_shape_and_each_key_has_a_program_and_it_is_kept():
    programs, net = Programs(), network()
    function = gradients_of(net)
    first = programs.get("a", function, batch(), [net])
    assert programs.get("a", function, batch(), [net]) is first
    assert programs.get("b", function, batch(), [net]) is not first
    short = programs.get("a", function, batch(3), [net])
    assert short is not first
    assert torch.equal(short(*(given := batch(3)))[0], function(*given)[0])


class Counting(nn.Linear):
    """A layer of a user's own, which has a state."""


HOOKED = nn.Linear(5, 5)
HOOKED.register_forward_hook(lambda *_: None)
IMPURE = [nn.Dropout(), nn.RReLU(), nn.BatchNorm1d(5), Counting(5, 5), HOOKED]


@pytest.mark.parametrize("layer", [*IMPURE, nn.LSTM(5, 5)], ids=repr)
def test_networks_that_do_more_than_compute_are_impure(layer):
    assert is_pure(network())
    assert not is_pure(nn.Sequential(layer, nn.Linear(5, 2)))


@pytest.mark.parametrize("layer", IMPURE, ids=repr)
def test_impure_networks_are_run_step_by_step(layer):
    net = nn.Sequential(layer, nn.Linear(5, 2))
    programs, function, given = Programs(), gradients_of(net), batch()
    run = programs.get("a", function, given, [net])
    assert programs.recorded == 0
    torch.manual_seed(1)
    results = run(*given)
    torch.manual_seed(1)
    for mine, expected in zip(results, function(*given), strict=True):
        assert torch.equal(mine, expected)
        assert not mine.requires_grad
