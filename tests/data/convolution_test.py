"""Both ways to convolve give one image, and each platform takes its own."""

import jax
import numpy as np
import pytest

from blur_jax.data import convolution
from tests.helpers.platforms import lowered


def planes_and_psf(size, support, seed=0):
    rng = np.random.default_rng(seed)
    psf = rng.random((support, support), np.float32) ** 4  # Neither even nor odd in any direction.
    return rng.random((2, 3, size, size), np.float32), psf / psf.sum()


@pytest.mark.parametrize(("size", "support"), [(16, 5), (21, 31), (20, 41)])  # The last one reaches the far border.
def test_an_fft_and_products_give_the_mirrored_convolution(size, support):
    planes, psf = planes_and_psf(size, support)
    half = support // 2
    padded = np.pad(planes, ((0, 0), (0, 0), (half, half), (half, half)), mode="symmetric").astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (support, support), axis=(2, 3))
    expected = np.einsum("nchwkl,kl->nchw", windows, psf[::-1, ::-1])
    for convolve in (convolution.by_fft, convolution.by_products, convolution.fastest):
        np.testing.assert_allclose(jax.jit(convolve)(planes, psf), expected, atol=3e-6)


@pytest.mark.parametrize(("platform", "by_fft"), [("cpu", True), ("tpu", False), ("cuda", False)])
def test_only_a_cpu_uses_the_fft(platform, by_fft):
    assert ("stablehlo.fft" in lowered(convolution.fastest, *planes_and_psf(16, 5), platform=platform)) == by_fft
