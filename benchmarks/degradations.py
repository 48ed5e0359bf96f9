"""What rendering blur costs, and why its convolution is an FFT.

    python -m benchmarks.degradations --sizes=64,128

Times the module's own convolution and the alternatives, which must give the same image, and then drawing and applying
degradations of all families.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax import lax

from benchmarks import timing
from blur_jax.data import degradations
from blur_jax.train.step import map_examples

PAIRS = 64
CONVOLVED = tuple(name for name in degradations.FAMILIES if name not in degradations.SEPARABLE)
RANGE = {"rms_min": 0.004, "rms_max": 0.06}


def fft(draw: degradations.Degradation, light: jax.Array) -> jax.Array:
    """Convolves as the module does: float32 [n, S, S, 3] -> the same shape, as all alternatives do."""
    return degradations._convolve(draw, light)


def shifted_products(draw: degradations.Degradation, light: jax.Array) -> jax.Array:
    """Adds up shifted copies, one for each element of the PSF."""
    size, support = light.shape[1], draw.psf.shape[0]
    half = support // 2
    border = (half, half)
    light = jnp.pad(light.transpose(0, 3, 1, 2), ((0, 0), (0, 0), border, border), mode="symmetric")

    def add_row(i: jax.Array, total: jax.Array) -> jax.Array:
        row = lax.dynamic_slice_in_dim(light, 2 * half - i, size, axis=2)
        for j in range(support):
            total += draw.psf[i, j] * row[..., 2 * half - j : 2 * half - j + size]
        return total

    total = lax.fori_loop(0, support, add_row, jnp.zeros((light.shape[0], 3, size, size)))
    return total.transpose(0, 2, 3, 1)


def grouped_convolution(draw: degradations.Degradation, light: jax.Array) -> jax.Array:
    """Convolves by XLA's convolution, which `vmap` turns into a grouped one."""
    size, half = light.shape[1], draw.psf.shape[0] // 2
    border = (half, half)
    light = jnp.pad(light.transpose(0, 3, 1, 2), ((0, 0), (0, 0), border, border), mode="symmetric")
    planes = light.reshape(-1, 1, *light.shape[2:])
    kernel = draw.psf[None, None, ::-1, ::-1]
    planes = lax.conv_general_dilated(planes, kernel, (1, 1), "VALID", precision="highest")
    return planes.reshape(-1, 3, size, size).transpose(0, 2, 3, 1)


def cosine_transform(draw: degradations.Degradation, light: jax.Array) -> jax.Array:
    """Takes dense products only: a mirrored image is a sum of cosines; a PSF adds sines to them."""
    size, half = light.shape[1], draw.psf.shape[0] // 2
    frequency = np.pi * np.arange(size)[:, None] / size
    angle = frequency * (np.arange(size) + 0.5)
    forward = (np.cos(angle) * np.where(frequency, 2, 1) / size).astype(np.float32)
    inverse = np.concatenate([np.cos(angle), np.sin(angle)]).astype(np.float32)
    taps = frequency * np.arange(-half, half + 1)
    taps = np.concatenate([np.cos(taps), np.sin(taps)]).astype(np.float32)

    def product(*factors: jax.Array) -> jax.Array:
        return jnp.linalg.multi_dot(factors, precision="highest")

    transfer = product(taps, draw.psf, taps.T)
    planes = light.transpose(0, 3, 1, 2).reshape(-1, size, size)
    spectrum = jnp.einsum("kh,phw,lw->pkl", forward, planes, forward, precision="highest")
    spectrum = jnp.tile(spectrum, (1, 2, 2)) * transfer[None]
    planes = jnp.einsum("kh,pkl,lw->phw", inverse, spectrum, inverse, precision="highest")
    return planes.reshape(-1, 3, size, size).transpose(0, 2, 3, 1)


def _mapped(function: Callable) -> Callable:
    """Returns the function compiled for many draws, mapped as in the train step: one draw after another on a CPU."""
    return jax.jit(partial(map_examples, function))


def run(image_size: int, *, repeats: int) -> None:
    """Prints the times for images of one size.

    Raises:
        ValueError: an alternative gives another image than the module.
    """
    keys = jax.random.split(jax.random.key(0), PAIRS)
    images = jax.random.uniform(jax.random.key(1), (PAIRS, 2, image_size, image_size, 3))
    sample = partial(degradations.sample, image_size=image_size, **RANGE)
    convolved = _mapped(partial(sample, families=CONVOLVED))(keys)

    candidates = (fft, cosine_transform, shifted_products, grouped_convolution)
    jitted = {candidate.__name__: _mapped(candidate) for candidate in candidates}
    expected = jitted["fft"](convolved, images)
    for name, function in jitted.items():
        error = float(jnp.max(jnp.abs(function(convolved, images) - expected)))
        if error >= 1e-4:
            raise ValueError(f"{name} differs from the module by {error}")
    calls = {f"convolution: {name}": partial(function, convolved, images) for name, function in jitted.items()}
    apply = _mapped(degradations.apply)
    for name, options in {"": {}, ", with noise and JPEG": {"noise_max": 0.05, "jpeg_min_quality": 40}}.items():
        draw = _mapped(partial(sample, **options))
        calls[f"sample{name}"] = partial(draw, keys)
        calls[f"apply{name}"] = partial(apply, draw(keys), images)
    support = convolved.psf.shape[-1]
    print(f"\n{2 * PAIRS} images {image_size} x {image_size} x 3, PSF {support} x {support}")
    for name, value in timing.seconds(calls, repeats=repeats).items():
        print(f"  {name:36} {1e3 * value:9.2f} ms")


def _all() -> None:
    for size in flags.FLAGS.sizes:
        run(int(size), repeats=flags.FLAGS.repeats)


if __name__ == "__main__":
    flags.DEFINE_list("sizes", ["64"], "Sides of the images in pixels.")
    timing.define_repeats(9)
    timing.main(_all)
