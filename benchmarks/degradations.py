"""Measures how long rendering blur takes, and shows why an FFT is used for convolution.

    python -m benchmarks.degradations --sizes=64,128

Times the package's own two convolutions and alternatives that must produce the same image. Then times drawing and
applying degradations from all families.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from absl import flags
from jax import lax

from benchmarks import timing
from blur_jax.data import convolution, degradations
from blur_jax.train.step import map_examples

PAIRS = 64
CONVOLVED = tuple(name for name in degradations.FAMILIES if name not in degradations.SEPARABLE)
RANGE = {"rms_min": 0.004, "rms_max": 0.06}


def shifted_products(draw: degradations.Degradation, light: jax.Array) -> jax.Array:
    """Sums shifted copies of the image, one for each PSF element."""
    size, support = light.shape[1], draw.psf.shape[0]
    half, light = support // 2, _padded(draw, light)

    def add_row(i: jax.Array, total: jax.Array) -> jax.Array:
        row = lax.dynamic_slice_in_dim(light, 2 * half - i, size, axis=2)
        for j in range(support):
            total += draw.psf[i, j] * row[..., 2 * half - j : 2 * half - j + size]
        return total

    total = lax.fori_loop(0, support, add_row, jnp.zeros((light.shape[0], 3, size, size)))
    return total.transpose(0, 2, 3, 1)


def grouped_convolution(draw: degradations.Degradation, light: jax.Array) -> jax.Array:
    """Uses XLA's convolution, which `vmap` turns into a grouped convolution."""
    size, light = light.shape[1], _padded(draw, light)
    planes = light.reshape(-1, 1, *light.shape[2:])
    kernel = draw.psf[None, None, ::-1, ::-1]
    planes = lax.conv_general_dilated(planes, kernel, (1, 1), "VALID", precision="highest")
    return planes.reshape(-1, 3, size, size).transpose(0, 2, 3, 1)


def _of_planes(convolve: Callable) -> Callable:
    return lambda draw, light: convolve(light.transpose(0, 3, 1, 2), draw.psf).transpose(0, 2, 3, 1)


def _padded(draw: degradations.Degradation, light: jax.Array) -> jax.Array:
    border = (draw.psf.shape[0] // 2,) * 2
    return jnp.pad(light.transpose(0, 3, 1, 2), ((0, 0), (0, 0), border, border), mode="symmetric")


def _mapped(function: Callable) -> Callable:
    """Compiles the function, mapped over draws like in the training step: one draw at a time on a CPU."""
    return jax.jit(partial(map_examples, function))


def run(image_size: int, *, repeats: int, cpu: bool = False) -> None:
    """Prints the times for images of one size; raises ValueError if an alternative gives a different result."""
    keys = jax.random.split(jax.random.key(0), PAIRS)
    images = jax.random.uniform(jax.random.key(1), (PAIRS, 2, image_size, image_size, 3))
    sample = partial(degradations.sample, image_size=image_size, **RANGE)
    convolved = _mapped(partial(sample, families=CONVOLVED))(keys)

    # Float32 [n, S, S, 3] -> the same shape.
    candidates = {"fft": _of_planes(convolution.by_fft), "cosine_transform": _of_planes(convolution.by_products)}
    candidates |= {"shifted_products": shifted_products, "grouped_convolution": grouped_convolution}
    jitted = {name: _mapped(candidate) for name, candidate in candidates.items()}
    expected = jitted["fft"](convolved, images)
    for name, function in jitted.items():
        error = float(jnp.max(jnp.abs(function(convolved, images) - expected)))
        if error >= 1e-4:
            raise ValueError(f"{name} differs from the FFT result by {error}, but the limit is 1e-4")
    calls = {f"convolution: {name}": partial(function, convolved, images) for name, function in jitted.items()}
    apply = _mapped(degradations.apply)
    for name, options in {"": {}, ", with noise and JPEG": {"noise_max": 0.05, "jpeg_min_quality": 40}}.items():
        draw = _mapped(partial(sample, **options))
        calls[f"sample{name}"] = partial(draw, keys)
        calls[f"apply{name}"] = partial(apply, draw(keys), images)
    support = convolved.psf.shape[-1]
    print(f"\n{2 * PAIRS} images {image_size} x {image_size} x 3, PSF {support} x {support}")
    for name, value in timing.seconds(calls, repeats=repeats, cpu=cpu).items():
        print(f"  {name:36} {1e3 * value:9.2f} ms")


if __name__ == "__main__":
    flags.DEFINE_list("sizes", ["64"], "Image sides in pixels.")
    timing.define_rounds(9)
    timing.main(
        lambda: [run(int(size), repeats=flags.FLAGS.repeats, cpu=flags.FLAGS.cpu) for size in flags.FLAGS.sizes]
    )
