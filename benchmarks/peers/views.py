"""Augmentation and degradation of whole batches in PyTorch, with the families and ranges in a config.

These match augmentation.py and degradations.py in blur_jax/data, except for the random numbers. Images are
float32 [n, 3, S, S] in [0, 1], in any memory format.
"""

import math

import ml_collections
import torch
from scipy.fft import next_fast_len
from torch.nn import functional

_ASPECTS = (0.2, 0.6)  # Ratio of the minor to the major axis of anisotropic Gaussians.


def expose(options: ml_collections.ConfigDict, *versions: torch.Tensor) -> list[torch.Tensor]:
    """Augments images without adding noise, with the same draw for all versions; `options` is `config.augment`."""
    like = versions[0]

    def uniform(reach: float, channels: int = 1) -> torch.Tensor:
        return like.new_empty(len(like), channels, 1, 1).uniform_(-reach, reach)

    mirrored = torch.rand(len(like), 1, 1, 1, device=like.device) < 0.5
    gains = (1 + uniform(options.color, 3)) * 2 ** (uniform(options.exposure) / 2.2)
    stretch, changed = uniform(options.contrast), []
    for images in versions:
        if options.flip:
            images = torch.where(mirrored, images.flip(3), images)
        images = images * gains
        images = torch.lerp(images, images.mean(dim=(1, 2, 3), keepdim=True), stretch)
        changed.append(images.clamp(0, 1))
    return changed


def add_noise(options: ml_collections.ConfigDict, images: torch.Tensor) -> torch.Tensor:
    """Adds the augmentation noise; `options` is `config.augment`."""
    if options.noise:
        deviation = images.new_empty(len(images), 1, 1, 1).uniform_(0, options.noise)
        images = torch.addcmul(images, deviation, torch.randn_like(images)).clamp(0, 1)
    return images


def degrade(images: torch.Tensor, options: ml_collections.ConfigDict, shared: int) -> torch.Tensor:
    """Blurs images, one draw for each group of `shared` consecutive images; computes only the families drawn."""
    unknown = set(options.families) - {"gaussian", "anisotropic", "downup"}
    if unknown or options.noise_max or options.jpeg_min_quality is not None:
        raise ValueError(
            f"benchmarks/peers/views.py does not support {sorted(unknown)}, noise or JPEG; remove them from the config"
        )
    draws, size, device = len(images) // shared, images.shape[-1], images.device
    rms = size * options.rms_min * (options.rms_max / options.rms_min) ** torch.rand(draws, device=device)
    border = math.ceil(3.5 * size * options.rms_max)
    light = to_linear(images).unflatten(0, (draws, shared))
    families = torch.randint(len(options.families), (draws,))  # On the host, to avoid waiting for the GPU.
    for index, family in enumerate(options.families):
        rows = (families == index).nonzero()[:, 0].to(device)
        if family == "downup":
            light[rows] = _downup(light[rows], rms[rows])
        elif len(rows):
            aspect = torch.empty_like(rms[rows]).uniform_(*_ASPECTS) if family == "anisotropic" else torch.tensor(1.0)
            light[rows] = _gaussian(light[rows], rms[rows], aspect.to(device), border)
    return to_srgb(light.flatten(0, 1).clamp(0, 1))


def _gaussian(light: torch.Tensor, rms: torch.Tensor, aspect: torch.Tensor, border: int) -> torch.Tensor:
    """Blurs [draws, shared, 3, S, S], with mirrored borders, using Gaussian transfer functions."""
    size = light.shape[-1]
    period = next_fast_len(size + 2 * border, real=True)
    after = period - size - border
    padded = functional.pad(light.flatten(0, 1), (border, after, border, after), mode="reflect")
    padded = padded.unflatten(0, light.shape[:2])
    angle = math.pi * torch.rand_like(rms)
    across, along = (function(angle)[:, None, None] for function in (torch.cos, torch.sin))
    rows = torch.fft.fftfreq(period, device=light.device)[:, None]
    columns = torch.fft.rfftfreq(period, device=light.device)
    major = (across * columns + along * rows) ** 2
    minor = (across * rows - along * columns) ** 2
    variance = (rms**2 / (1 + aspect**2))[:, None, None]
    aspect = aspect.expand_as(rms)[:, None, None]
    transfer = torch.exp(-2 * math.pi**2 * variance * (major + aspect**2 * minor))
    blurred = torch.fft.irfft2(torch.fft.rfft2(padded) * transfer[:, None, None], s=(period, period))
    return blurred[..., border : border + size, border : border + size]


def _downup(light: torch.Tensor, rms: torch.Tensor) -> torch.Tensor:
    """Samples [draws, shared, 3, S, S] down by area and up linearly, using matrix products along both axes."""
    size = light.shape[-1]
    factor = (2 * rms**2 - 1 / 3).clamp(min=1 / 9).sqrt()  # Gives this width when averaged over phases.
    rows, columns = (_downup_operator(factor, size)[:, None, None] for _ in range(2))
    return rows @ light @ columns.mT


def _downup_operator(factor: torch.Tensor, size: int) -> torch.Tensor:
    """Returns [draws, S, S]; see `blur_jax.data.psf.downup_operator`."""
    pixel = torch.arange(size, device=factor.device)
    factor = factor[:, None, None]
    position = pixel[:, None] / factor - torch.rand_like(factor)
    after = position - position.floor()
    left, right = pixel - 0.5, pixel + 0.5
    left[0], right[-1] = -math.inf, math.inf

    def share(center: torch.Tensor) -> torch.Tensor:
        start, stop = center - factor / 2, center + factor / 2
        return (torch.minimum(stop, right) - torch.maximum(start, left)).clamp(min=0) / factor

    before = pixel[:, None] - after * factor
    return (1 - after) * share(before) + after * share(before + factor)


def to_linear(images: torch.Tensor) -> torch.Tensor:
    return torch.where(images <= 0.04045, images / 12.92, ((images + 0.055) / 1.055) ** 2.4)


def to_srgb(light: torch.Tensor) -> torch.Tensor:
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
