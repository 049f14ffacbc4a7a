"""A linear layer's product, and its gradients in whatever form is quick."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from roboyard.agents.jax.products import linear


def factors(inputs, outputs, batch=(32,)):
    draw = np.random.default_rng(0)
    shapes = ((*batch, inputs), (outputs, inputs), (*batch, outputs))
    return [draw.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("batch", [(32,), (8, 5), ()])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 64), (64, 3), (16, 16), (1, 1)])
def test_results_and_gradients_are_those_of_torch(inputs, outputs, batch):
    x, weight, slope = factors(inputs, outputs, batch)
    product, pull_back = jax.vjp(linear, x, weight)
    gradients = pull_back(jnp.asarray(slope))
    given = [torch.from_numpy(part).requires_grad_() for part in (x, weight)]
    expected = torch.nn.functional.linear(*given)
    expected.backward(torch.from_numpy(slope))
    np.testing.assert_allclose(product, expected.detach(), rtol=1e-4, atol=1e-5)
    for gradient, tensor in zip(gradients, given, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 64), (64, 3)])
def test_the_narrow_factor_of_a_weights_gradient_is_on_the_left(inputs, outputs):
    def gradient(x, weight, slope):
        return jax.vjp(linear, x, weight)[1](slope)[1]

    program = jax.jit(gradient).lower(*factors(inputs, outputs)).compile()
    (line,) = (line for line in program.as_text().splitlines() if " dot(" in line)
    assert "f32[3,64]" in line
