"""Large products by oneDNN, tall ones turned: the same up to rounding, small ones untouched."""

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from roboyard.agents.fast.products import product, use_fast_products


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
    use_fast_products(program)
    assert number_of_products(program, product) == 5
    for mine, expected in zip(program(inputs), function(inputs), strict=True):
        torch.testing.assert_close(mine, expected)


def test_products_with_few_columns_are_made_with_few_rows_and_come_out_as_before():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(9, 256), nn.Tanh(), nn.Linear(256, 3))
    function, inputs = gradients(network), torch.rand(64, 9)
    program = make_fx(function)(inputs)
    use_fast_products(program)
    assert number_of_products(program, torch.ops.aten.clone.default) == 1
    for mine, expected in zip(program(inputs), function(inputs), strict=True):
        torch.testing.assert_close(mine, expected)
        assert mine.stride() == expected.stride()


def test_small_products_stay_as_they_are_bit_for_bit():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
    function, inputs = gradients(network), torch.rand(64, 8)
    program = make_fx(function)(inputs)
    use_fast_products(program)
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
