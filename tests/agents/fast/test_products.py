"""Large products by oneDNN: the same numbers up to rounding, small ones untouched."""

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from roboyard.agents.fast.products import product, use_onednn


def gradients(network):
    def function(inputs):
        loss = network(inputs).square().mean()
        return [loss.detach(), *torch.autograd.grad(loss, list(network.parameters()))]

    return function


def number_of_products(program, function):
    return sum(node.target is function for node in program.graph.nodes)


@pytest.mark.parametrize("bias", [True, False])
def test_large_products_of_both_passes_are_onednns(bias):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(128, 256, bias=bias), nn.ReLU(), nn.Linear(256, 256, bias=bias)
    )
    function, inputs = gradients(network), torch.rand(64, 128)
    program = make_fx(function)(inputs)
    use_onednn(program)
    assert number_of_products(program, product) == 5
    for mine, expected in zip(program(inputs), function(inputs), strict=True):
        torch.testing.assert_close(mine, expected)


def test_small_products_stay_mkls_bit_for_bit():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
    function, inputs = gradients(network), torch.rand(64, 8)
    program = make_fx(function)(inputs)
    use_onednn(program)
    assert number_of_products(program, product) == 0
    for mine, expected in zip(program(inputs), function(inputs), strict=True):
        assert torch.equal(mine, expected)


def test_a_product_takes_its_matrices_in_any_layout():
    left, weight, bias = torch.rand(64, 96), torch.rand(32, 96), torch.rand(32)
    expected = left @ weight.T + bias
    for given in ((left, weight), (left.T.contiguous().T, weight.T.contiguous().T)):
        torch.testing.assert_close(product(*given, bias), expected)
    torch.testing.assert_close(
        product(torch.ones(1, 1).expand(64, 96), weight), torch.ones(64, 96) @ weight.T
    )
