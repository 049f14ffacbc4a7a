"""Two passes that are recorded together do, apart, what the two functions do."""

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from roboyard.agents.fast import programs as programs_module
from roboyard.agents.fast.passes import cut
from roboyard.agents.fast.programs import Programs


def network(*more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 32), nn.ReLU(), *more, nn.Linear(32, 2))


def functions(net):
    parameters = list(net.parameters())

    def forward(inputs):
        outputs = net(inputs)
        return [outputs, outputs.exp()]

    def backward(outputs, slope):
        return list(torch.autograd.grad(outputs, parameters, [slope, 2 * slope]))

    return forward, backward


def batch(size=16):
    return torch.rand(size, 5), torch.rand(size, 2)


def passes_of(net, programs):
    inputs, slope = batch()
    return programs.get_passes("key", functions(net), [inputs], lambda: [slope], [net])


def test_passes_are_recorded_with_onednns_products(monkeypatch):
    # An activation that takes the place of such a product's result stays in its pass.
    monkeypatch.setattr(programs_module, "prefers_onednn", lambda: True)
    torch.manual_seed(0)
    net, programs = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64)), Programs()
    forward, backward = functions(net)
    inputs, slope = torch.rand(256, 64), torch.rand(256, 64)
    passes = programs.get_passes("key", (forward, backward), [inputs], lambda: [slope], [net])
    assert programs.recorded == 1
    outputs, left = passes.forward(inputs)
    expected = forward(inputs)
    torch.testing.assert_close(outputs, expected)
    results = passes.backward(left, slope)
    torch.testing.assert_close(results, backward(expected, slope), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("more", [[], [nn.Dropout(0.5)]], ids=["recorded", "as written"])
def test_passes_give_what_the_functions_give_also_after_the_weights_have_changed(more):
    net, programs = network(*more), Programs()
    passes = passes_of(net, programs)
    assert programs.recorded == (not more)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.5)
    forward, backward = functions(net)
    for inputs, slope in (batch(), batch()):
        torch.manual_seed(1)
        outputs, left = passes.forward(inputs)
        results = passes.backward(left, slope)
        torch.manual_seed(1)
        expected = forward(inputs)
        for mine, theirs in zip(
            [*outputs, *results], [*expected, *backward(expected, slope)], strict=True
        ):
            assert torch.equal(mine, theirs)
            assert not mine.requires_grad


def test_the_second_pass_multiplies_no_matrices_of_the_first():
    net = network()
    forward, backward = functions(net)

    def both(inputs, slope):
        outputs = forward(inputs)
        return [*(output.detach() for output in outputs), *backward(outputs, slope)]

    first, second = cut(make_fx(both)(*batch()), 1, 2)
    assert "addmm" in first.code
    assert "addmm" not in second.code
    assert "mm" in second.code


def test_outputs_that_need_what_is_found_out_later_are_refused():
    graph = make_fx(lambda early, late: [early + late, late])(torch.rand(3), torch.rand(3))
    with pytest.raises(ValueError, match="cannot be told apart"):
        cut(graph, 1, 1)


def test_a_tensor_that_both_parts_use_must_not_change():
    def function(early, late):
        shared = early + 1
        result = shared * late
        shared.add_(1)
        return [shared.clone(), result]

    graph = make_fx(function)(torch.rand(3), torch.rand(3))
    with pytest.raises(ValueError, match="cannot be told apart"):
        cut(graph, 1, 1)
