"""Maps the parts of a picture that produce its score: sharpens each part in turn and rescores the picture.

The usual gray patch would add edges, which a blur scorer mistakes for detail. Instead, a part is sharpened under a soft
window, and the rest stays unchanged. Where this lowers the score most, the scorer saw blur; where it raises the score,
the part was already sharp, or the sharpened part looks like an artifact.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from blur_jax.metrics.calibration import logit


def occlusion_maps(score: Callable[[np.ndarray], np.ndarray], images: np.ndarray, *, cells: int = 8) -> np.ndarray:
    """Returns the blur that each part adds to its image: the score's logit minus the logit with the part sharpened.

    Args:
        score: from uint8 [m, S, S, 3] to float [m] in [0, 1], larger is blurrier, such as `Scorer.score_images`.
        images: uint8 [n, S, S, 3]; each is scored `cells`^2 + 1 times.
        cells: number of parts along a side; raises ValueError if below 2.

    Returns:
        float32 [n, S, S], smooth because the windows overlap.
    """
    if cells < 2:
        raise ValueError(f"cells must be 2 or more, not {cells}")
    windows = _windows(images.shape[1], cells)
    maps = []
    for image, before in zip(images, logit(np.asarray(score(images), np.float32))):
        sharpen = ImageFilter.UnsharpMask(radius=len(image) / 32, percent=300, threshold=0)
        sharpened = np.asarray(Image.fromarray(image).filter(sharpen), np.float32)
        mixed = image + windows[..., None] * (sharpened - image)
        after = logit(np.asarray(score(np.round(mixed).astype(np.uint8)), np.float32))
        maps.append(np.tensordot(before - after, windows, axes=1))
    return np.stack(maps) if maps else np.zeros(images.shape[:3], np.float32)


def _windows(side: int, cells: int) -> np.ndarray:
    """Returns soft windows, float32 [cells^2, S, S], that add up to one at every pixel."""
    centers = (np.arange(cells) + 0.5) * side / cells
    distance = (np.arange(side)[None, :] + 0.5 - centers[:, None]) * cells / side
    along = np.exp(-0.5 * (distance / 0.6) ** 2)
    along /= along.sum(axis=0)
    return np.einsum("ai,bj->abij", along, along).reshape(cells**2, side, side).astype(np.float32)
