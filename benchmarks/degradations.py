"""What rendering blur costs, and why its convolution is an FFT.

    python benchmarks/degradations.py [image size ...]

Times the module's own convolution against the alternatives, each checked to give the same picture,
then a whole draw. Candidates are timed in turn, round after round, so that a busy machine slows all
alike.
"""

import os
import platform
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from blur_jax import degradations

PAIRS = 64
ROUNDS = 9
RANGE = {"rms_min": 0.004, "rms_max": 0.06}


def fft(draw, light):
    return degradations._blur(draw, light)


def _resample(draw, light):
    light = jnp.matmul(draw.rows, light.transpose(0, 3, 1, 2), precision=lax.Precision.HIGHEST)
    return jnp.matmul(light, draw.columns.T, precision=lax.Precision.HIGHEST)


def shifted_products(draw, light):
    size, support = light.shape[1], draw.psf.shape[0]
    half = support // 2
    border = (half, half)
    light = jnp.pad(_resample(draw, light), ((0, 0), (0, 0), border, border), mode="symmetric")

    def add_row(i, total):
        row = lax.dynamic_slice_in_dim(light, 2 * half - i, size, axis=2)
        for j in range(support):
            total += draw.psf[i, j] * row[..., 2 * half - j : 2 * half - j + size]
        return total

    total = lax.fori_loop(0, support, add_row, jnp.zeros((light.shape[0], 3, size, size)))
    return total.transpose(0, 2, 3, 1)


def grouped_convolution(draw, light):
    size, half = light.shape[1], draw.psf.shape[0] // 2
    border = (half, half)
    light = jnp.pad(_resample(draw, light), ((0, 0), (0, 0), border, border), mode="symmetric")
    planes = light.reshape(-1, 1, *light.shape[2:])
    kernel = draw.psf[None, None, ::-1, ::-1]
    planes = lax.conv_general_dilated(planes, kernel, (1, 1), "VALID", precision="highest")
    return planes.reshape(-1, 3, size, size).transpose(0, 2, 3, 1)


def cosine_transform(draw, light):
    """Dense products only: a mirrored picture is a sum of cosines; a PSF adds sines to them."""
    size, half = light.shape[1], draw.psf.shape[0] // 2
    frequency = np.pi * np.arange(size)[:, None] / size
    angle = frequency * (np.arange(size) + 0.5)
    forward = (np.cos(angle) * np.where(frequency, 2, 1) / size).astype(np.float32)
    inverse = np.concatenate([np.cos(angle), np.sin(angle)]).astype(np.float32)
    taps = frequency * np.arange(-half, half + 1)
    taps = np.concatenate([np.cos(taps), np.sin(taps)]).astype(np.float32)

    def product(*factors):
        return jnp.linalg.multi_dot(factors, precision="highest")

    rows, columns = product(forward, draw.rows), product(forward, draw.columns)
    transfer = product(taps, draw.psf, taps.T)
    planes = light.transpose(0, 3, 1, 2).reshape(-1, size, size)
    spectrum = jnp.einsum("kh,phw,lw->pkl", rows, planes, columns, precision="highest")
    spectrum = jnp.tile(spectrum, (1, 2, 2)) * transfer[None]
    planes = jnp.einsum("kh,pkl,lw->phw", inverse, spectrum, inverse, precision="highest")
    return planes.reshape(-1, 3, size, size).transpose(0, 2, 3, 1)


def milliseconds(calls):
    """Median time of each call, in ms, all called in turn."""
    for call in calls.values():
        jax.block_until_ready(call())
    times = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def measure(image_size):
    def draw(**options):
        def one(key):
            return degradations.sample(key, image_size=image_size, **RANGE, **options)

        return jax.jit(jax.vmap(one))

    keys = jax.random.split(jax.random.key(0), PAIRS)
    images = jax.random.uniform(jax.random.key(1), (PAIRS, 2, image_size, image_size, 3))
    plain, full = draw(), draw(noise_max=0.05, jpeg_min_quality=40)
    draws, full_draws = plain(keys), full(keys)
    support = draws.psf.shape[-1]

    candidates = (fft, cosine_transform, shifted_products, grouped_convolution)
    jitted = {candidate.__name__: jax.jit(jax.vmap(candidate)) for candidate in candidates}
    expected = jitted["fft"](draws, images)
    for name, function in jitted.items():
        error = float(jnp.max(jnp.abs(function(draws, images) - expected)))
        assert error < 1e-4, (name, error)
    calls = {
        f"convolution: {name}": lambda function=function: function(draws, images) for name, function in jitted.items()
    }
    apply = jax.jit(jax.vmap(degradations.apply))
    calls["sample"] = lambda: plain(keys)
    calls["apply (sRGB, sampling, fft, sRGB)"] = lambda: apply(draws, images)
    calls["sample, with noise and JPEG"] = lambda: full(keys)
    calls["apply, with noise and JPEG"] = lambda: apply(full_draws, images)
    print(f"\n{2 * PAIRS} images {image_size} x {image_size} x 3, PSF {support} x {support}")
    for name, value in milliseconds(calls).items():
        print(f"  {name:36} {value:9.2f} ms")


if __name__ == "__main__":
    device = jax.devices()[0]
    print(
        f"{device.device_kind} ({device.platform}), {os.cpu_count()} CPU cores, "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, jax {jax.__version__}"
    )
    for image_size in [int(size) for size in sys.argv[1:]] or [64]:
        measure(image_size)
