"""Renders a sharp portrait as it would look blurred by a known amount, taken elsewhere and stored with fewer pixels.

Blur and resolution set the width; everything else (crop, tilt, light, noise, JPEG) must not change a score, so it is
drawn independently of the width.
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from blur_jax.data import augmentation, degradations
from blur_jax.data.preprocessing import Box, Preprocessing, crop_and_resize

FAMILIES = ("gaussian", "defocus")
# R.m.s. radius in face widths. Stronger blur is rare in photographs, and pairs with it teach a scorer little about the
# weak blur that people compare.
RMS_MIN, RMS_MAX = 0.004, 0.035
SIDES = (28, 128)  # Pixels along a face: from barely recognizable to as many as the network sees.
# A pixel grid blurs, too: resizing to L pixels and back has an r.m.s. radius of about 1.2 / L face widths.
PIXEL = 1.2

# See `augmentation.sample`.
_LIGHT: dict[str, Any] = {"flip": True, "exposure": 0.8, "contrast": 0.35, "color": 0.0, "noise": 0.0}
_TILT = 8.0  # Standard deviation, in degrees.
_SHIFT, _SCALE = 0.06, (0.9, 1.25)  # Of the box, in box sides.
_NOISE = 4.0  # Largest standard deviation, in gray levels.
_QUALITY = (60, 96)  # JPEG quality.


class View(NamedTuple):
    """One rendering of a portrait: everything drawn for it. `key` seeds its light, its family's shape and its noise."""

    name: str
    key: int
    family: str
    rms: float  # R.m.s. radius of the blur, in face widths.
    side: int  # Pixels along the face.
    tilt: float  # Degrees.
    shift: tuple[float, float]  # In box sides.
    scale: float
    noise: float  # Gray levels.
    quality: int

    @property
    def width(self) -> float:
        """The total blur as an r.m.s. radius in face widths; larger is blurrier."""
        return float(np.hypot(self.rms, PIXEL / self.side))

    def __str__(self) -> str:
        return f"{self.name} {self.family} {self.rms:.4f} {self.side}px"


def draw(name: str, key: int) -> View:
    """Draws a view of the portrait `name`; equal arguments give equal views."""
    rng = np.random.default_rng(key)
    return View(
        name=name,
        key=key,
        family=FAMILIES[rng.integers(len(FAMILIES))],
        rms=_log_uniform(rng, RMS_MIN, RMS_MAX),
        side=round(_log_uniform(rng, *SIDES)),
        tilt=_TILT * rng.normal(),
        shift=(rng.uniform(-_SHIFT, _SHIFT), rng.uniform(-_SHIFT, _SHIFT)),
        scale=_log_uniform(rng, *_SCALE),
        noise=rng.uniform(0, _NOISE),
        quality=int(rng.integers(*_QUALITY)),
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def crop(image: Image.Image, box: Box, view: View, preprocessing: Preprocessing) -> np.ndarray:
    """Returns the tilted and shifted face of a portrait, uint8 [S, S, 3]; `box` is in its pixels."""
    x, y, width, height = box
    center, side = (x + width / 2, y + height / 2), max(width, height)
    tilted = image.rotate(view.tilt, Image.Resampling.BICUBIC, center=center)
    side = min(round(view.scale * side), *image.size)
    left, top = (
        min(max(round(middle + shift * side - side / 2), 0), most - side)
        for middle, shift, most in zip(center, view.shift, image.size)
    )
    return crop_and_resize(tilted, (left, top, side, side), preprocessing)


def render(faces: np.ndarray, views: Sequence[View]) -> list[np.ndarray]:
    """Blurs, lights, reduces and encodes the faces that `crop` returns; uint8 [n, S, S, 3] -> n of uint8 [S, S, 3]."""
    families = np.array([degradations.FAMILIES.index(view.family) for view in views])
    keys, rms = np.array([view.key for view in views]), np.array([view.rms for view in views], np.float32)
    return [_develop(face, view) for face, view in zip(np.asarray(_blur_and_light(keys, families, rms, faces)), views)]


@jax.jit
def _blur_and_light(keys: jax.Array, families: jax.Array, rms: jax.Array, images: jax.Array) -> jax.Array:
    def one(number: jax.Array, family: jax.Array, strength: jax.Array, image: jax.Array) -> jax.Array:
        blur_key, light_key = jax.random.split(jax.random.key(number))
        size = image.shape[0]
        blur = degradations.from_rms(blur_key, family, strength, image_size=size, max_rms=RMS_MAX)
        light = augmentation.sample(light_key, image_size=size, **_LIGHT)
        return augmentation.apply(light, degradations.apply(blur, image[None].astype(jnp.float32) / 255.0)[0])

    return jnp.round(jax.vmap(one)(keys, families, rms, images) * 255.0).astype(jnp.uint8)


def _develop(face: np.ndarray, view: View) -> np.ndarray:
    """Stores a face with the view's pixels, noise and JPEG quality, and enlarges it again."""
    reduced = Image.fromarray(face).resize((view.side, view.side), Image.Resampling.BICUBIC)
    levels = np.asarray(reduced, np.float32)
    grain = view.noise * np.random.default_rng((view.key, 1)).normal(size=levels.shape)
    noisy, buffer = np.clip(np.rint(levels + grain), 0, 255).astype(np.uint8), io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=view.quality)
    stored = Image.open(buffer).convert("RGB")
    return np.asarray(stored.resize(face.shape[:2], Image.Resampling.BICUBIC))
