"""The compiled Adam is torch's."""

import numpy as np
import pytest
import torch

from roboyard.agents.jax.optimizers import Adam

RATE = 1e-2
SHAPES = {"weight": (4, 3), "bias": (4,)}
NAMES = tuple(SHAPES)


def pair(kind, **options):
    """Return a torch optimiser and its mirror."""
    torch.manual_seed(0)
    tensors = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES.values()]
    optimizer = kind(tensors, lr=RATE, **options)
    return optimizer, Adam(optimizer, dict(zip(map(id, tensors), NAMES, strict=True)))


def slopes_of(step):
    draw = np.random.default_rng(step)
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def moved_by_torch(optimizer, slopes):
    tensors = optimizer.param_groups[0]["params"]
    for tensor, slope in zip(tensors, slopes.values(), strict=True):
        tensor.grad = torch.from_numpy(slope)
    optimizer.step()
    return {name: t.detach().numpy().copy() for name, t in zip(NAMES, tensors, strict=True)}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.Adam, {}),
        (torch.optim.Adam, {"betas": (0.0, 0.9), "eps": 1e-5}),
        (torch.optim.Adam, {"betas": (0.5, 0.99999)}),
        (torch.optim.AdamW, {"weight_decay": 0.1}),
    ],
)
def test_steps_are_those_of_torch_from_the_first_to_the_thousandth(kind, options):
    optimizer, adam = pair(kind, **options)
    parameters = {
        name: tensor.detach().numpy().copy()
        for name, tensor in zip(NAMES, optimizer.param_groups[0]["params"], strict=True)
    }
    moments = adam.read()
    for step in range(1000):
        slopes = slopes_of(step)
        expected = moved_by_torch(optimizer, slopes)
        parameters, moments = adam.step(parameters, slopes, moments, RATE)
        if step in (0, 1, 9, 99, 999):
            for name in NAMES:
                np.testing.assert_allclose(parameters[name], expected[name], rtol=0, atol=1e-5)


def test_a_memory_goes_to_torch_and_back():
    optimizer, adam = pair(torch.optim.Adam)
    for step in range(3):
        moved_by_torch(optimizer, slopes_of(step))
    before = adam.read()
    optimizer.state.clear()
    adam.write(before)
    after = adam.read()
    assert int(after.steps) == 3
    for name in NAMES:
        np.testing.assert_array_equal(after.mu[name], before.mu[name])
        np.testing.assert_array_equal(after.nu[name], before.nu[name])
