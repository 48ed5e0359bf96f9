import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from blur_jax.models import backbones, depthwise


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_depthwise_convolutions_agree_in_values_and_gradients(kernel_size, strides, size):
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (2, size, size, 6))
    kernel = jax.random.normal(keys[1], (kernel_size, kernel_size, 1, 6))

    @functools.partial(jax.jit, static_argnums=0)
    def run(convolve):
        def loss(x, kernel):
            return jnp.sum(jnp.sin(convolve(x, kernel, strides=strides)))

        return convolve(x, kernel, strides=strides), *jax.grad(loss, (0, 1))(x, kernel)

    for one, other in zip(run(depthwise.by_shifts), run(depthwise.by_convolution), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kernel_size", "size"), [(4, 8), (4, 9), (2, 8), (6, 10)])
def test_a_folded_convolution_agrees_in_values_and_gradients(kernel_size, size):
    x = jax.random.normal(jax.random.key(0), (2, size, size + 2, 3))
    kernel = jax.random.normal(jax.random.key(1), (kernel_size, kernel_size, 3, 5))

    def loss(convolve, x, kernel):
        y = convolve(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jnp.sum(jnp.sin(y)), y

    compare = functools.partial(jax.grad, argnums=(1, 2), has_aux=True)
    found, values = compare(loss)(backbones.convolve_folded, x, kernel)
    wanted, expected = compare(loss)(lax.conv_general_dilated, x, kernel)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-4), found, wanted)


def test_depthwise_by_shifts_by_hand():
    x = jnp.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    kernel = jnp.arange(9.0).reshape(3, 3, 1, 1)
    # At the center the sum of n * (n + 1) for n = 0..8, which is 204 + 36; at the top left corner the
    # kernel's 4, 5, 7, 8 meet the image's 1, 2, 4, 5.
    y = depthwise.by_shifts(x, kernel, strides=1)
    assert y[0, 1, 1, 0] == 240
    assert y[0, 0, 0, 0] == 4 + 10 + 28 + 40


def test_depthwise_parameters_are_those_of_a_flax_convolution():
    x = jnp.zeros((1, 8, 8, 6))
    ours = backbones.DepthwiseConv(5, 2, jnp.float32).init(jax.random.key(0), x)
    theirs = nn.Conv(6, (5, 5), 2, feature_group_count=6).init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, ours) == jax.tree.map(jnp.shape, theirs)
