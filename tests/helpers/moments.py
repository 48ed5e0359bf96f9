"""Second moments of blur, in pixels squared, computed from the definition."""

import numpy as np


def moments(psf):
    """E[x^2], E[y^2], E[xy] about the center; y points down, as rows do."""
    psf = np.asarray(psf, np.float64)
    y, x = np.mgrid[: psf.shape[0], : psf.shape[1]] - psf.shape[0] // 2
    return np.array([np.sum(psf * x * x), np.sum(psf * y * y), np.sum(psf * x * y)])


def rms_radius(psf):
    """R.m.s. radius in pixels of a PSF [K, K] of sum one, odd K, about its central pixel."""
    return np.sqrt(moments(psf)[:2].sum())


def operator_moments(operators):
    """Second moment of each row of `[..., S, S]` operators, about the pixel itself."""
    offset = np.arange(operators.shape[-1])
    square = (offset[None, :] - offset[:, None]) ** 2.0
    return np.sum(np.asarray(operators, np.float64) * square, axis=-1)
