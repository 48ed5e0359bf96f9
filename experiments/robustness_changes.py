"""Known changes to a face, as pure functions of uint8 RGB images, and the strengths to test."""

import dataclasses
import functools
import io
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from blur_jax.data import degradations
from blur_jax.data.preprocessing import Preprocessing, crop_and_resize

_RADII = (0, 0.01, 0.02, 0.04, 0.06)  # R.m.s. radii of blur in face widths.
_SHIFTS = (-10, -5, -2, 0, 2, 5, 10)  # Crop shifts in percent of the side.

Face = np.ndarray  # uint8 [S, S, 3], RGB.


def jpeg(face: Face, quality: int | None) -> Face:
    """Saves a face as JPEG with Pillow's default chroma subsampling and reads it back; None does nothing."""
    if quality is None:
        return face
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def enhanced(face: Face, factor: float, *, enhancer: type) -> Face:
    """Multiplies sRGB values (ImageEnhance.Brightness), or their distances from the mean gray (Contrast)."""
    return np.asarray(enhancer(Image.fromarray(face)).enhance(factor))


def noise(face: Face, sigma: float) -> Face:
    """Adds Gaussian noise of `sigma` gray levels, independent across pixels, channels and faces; deterministic."""
    rng = np.random.default_rng(zlib.crc32(face.tobytes()))
    return _to_uint8(face + sigma * rng.standard_normal(face.shape))


def sharpening(face: Face, percent: int) -> Face:
    """Applies an unsharp mask: adds `percent` of the difference from a Gaussian blur of 2 pixels (Pillow's default)."""
    return np.asarray(Image.fromarray(face).filter(ImageFilter.UnsharpMask(radius=2, percent=percent, threshold=0)))


def upscaling(face: Face, factor: float) -> Face:
    """Shrinks a face to 1 / `factor` of its side and enlarges it again, both bicubic, to imitate a small face."""
    side, shrunk = len(face), round(len(face) / factor)
    small = Image.fromarray(face).resize((shrunk, shrunk), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))


def crop_shift(face: Face, percent: float, *, axis: int) -> Face:
    """Cuts 10% off each side and shifts the crop by `percent` of the side, down (axis 0) or right (axis 1)."""
    side = len(face)
    margin = -(-_SHIFTS[-1] * side // 100)
    corner = [margin, margin]
    corner[axis] += round(percent * side / 100)
    box = (corner[1], corner[0], side - 2 * margin, side - 2 * margin)
    return crop_and_resize(Image.fromarray(face), box, Preprocessing(image_size=side))


def gaussian_blur(face: Face, rms: float) -> Face:
    """Gaussian blur of r.m.s. radius `rms` face widths, in linear light, with mirrored borders; see `degradations`."""
    return _to_uint8(255 * np.asarray(_gaussian(float(rms), len(face))(face[None] / np.float32(255))[0]))


@functools.cache
def _gaussian(rms: float, side: int) -> Callable:
    draw = jax.jit(degradations.from_rms, static_argnames=("image_size", "max_rms"))
    family = degradations.FAMILIES.index("gaussian")
    drawn = draw(jax.random.key(0), family, rms, image_size=side, max_rms=_RADII[-1])
    return partial(jax.jit(degradations.apply), drawn)


def _to_uint8(values: np.ndarray) -> Face:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Change:
    """A pure function `apply(face, strength)`, strengths to compare with `neutral`, and whether scores should rise."""

    apply: Callable[[Face, Any], Face]
    strengths: tuple
    neutral: float | None
    blurs: bool = False


CHANGES = {
    "Gaussian blur (r.m.s. radius in face widths)": Change(gaussian_blur, _RADII, 0, blurs=True),
    "down and up again (factor)": Change(upscaling, (1, 1.5, 2, 3), 1, blurs=True),
    "noise (sigma of 255)": Change(noise, (0, 2, 5, 10, 20), 0),
    "over-sharpening (unsharp mask, %)": Change(sharpening, (0, 100, 200, 400), 0),
    "JPEG (quality)": Change(jpeg, (None, 90, 70, 50, 30), None),
    "brightness (factor)": Change(partial(enhanced, enhancer=ImageEnhance.Brightness), (0.5, 0.7, 1, 1.4, 2), 1),
    "contrast (factor)": Change(partial(enhanced, enhancer=ImageEnhance.Contrast), (0.5, 0.7, 1, 1.4), 1),
    "crop shifted right (% of the side)": Change(partial(crop_shift, axis=1), _SHIFTS, 0),
    "crop shifted down (% of the side)": Change(partial(crop_shift, axis=0), _SHIFTS, 0),
}
