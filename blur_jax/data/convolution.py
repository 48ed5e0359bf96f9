"""Two equivalent convolutions of planes, float32 [n, c, S, S], with a PSF, float32 [K, K], mirrored at the borders.

An FFT is fastest on a CPU (`python -m benchmarks.degradations`). The TPU's compiler estimates that matrix products take
a tenth of the time of an FFT, and their program is an eighth of the size.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.fft import next_fast_len


def fastest(planes: jax.Array, psf: jax.Array) -> jax.Array:
    """Convolves with the implementation that is faster on the target device."""
    return lax.platform_dependent(planes, psf, cpu=by_fft, default=by_products)


def by_fft(planes: jax.Array, psf: jax.Array) -> jax.Array:
    size, half = planes.shape[-1], psf.shape[0] // 2
    period = next_fast_len(size + 2 * half, real=True)
    border = (half, period - size - half)
    planes = jnp.pad(planes, ((0, 0), (0, 0), border, border), mode="symmetric")
    transfer = jnp.fft.rfft2(psf, s=(period, period))
    blurred = jnp.fft.irfft2(jnp.fft.rfft2(planes) * transfer[None, None], s=(period, period))
    # The border shifts the image by `half`, and so does the PSF, whose center is at `half`.
    inner = slice(2 * half, 2 * half + size)
    return blurred[:, :, inner, inner]


def by_products(planes: jax.Array, psf: jax.Array) -> jax.Array:
    """Uses only matrix products: a mirrored image is a sum of cosines, to which a PSF adds sines."""
    size, half = planes.shape[-1], psf.shape[0] // 2
    frequency = np.pi * np.arange(size)[:, None] / size
    angle, shift = frequency * (np.arange(size) + 0.5), frequency * np.arange(-half, half + 1)
    forward = np.cos(angle) * np.where(frequency, 2, 1) / size
    # Sines have the spectrum of the cosines. Copying that instead takes a TPU four times as long as all products.
    forward = np.concatenate([forward, forward]).astype(np.float32)
    inverse = np.concatenate([np.cos(angle), np.sin(angle)]).astype(np.float32)
    taps = np.concatenate([np.cos(shift), np.sin(shift)]).astype(np.float32)
    transfer = jnp.einsum("kh,hw,lw->kl", taps, psf, taps, precision="highest")
    spectrum = jnp.einsum("kh,nchw,lw->nckl", forward, planes, forward, precision="highest")
    return jnp.einsum("kh,nckl,lw->nchw", inverse, spectrum * transfer[None, None], inverse, precision="highest")
