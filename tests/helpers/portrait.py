"""A photograph of a face: NASA's portrait of an astronaut, in the public domain, which scikit-image ships."""

import functools
import importlib.metadata
import importlib.util

import pytest
from PIL import Image

from blur_jax.data import face_boxes


def _is_installed():
    try:
        importlib.metadata.distribution(face_boxes.MODEL.package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return all(map(importlib.util.find_spec, ("cv2", "skimage")))


needs_detector = pytest.mark.skipif(
    not _is_installed(), reason=f"no face detector or portrait: {face_boxes.MODEL.install} scikit-image"
)


@functools.cache
def portrait(side=512):
    """One face: of 512 pixels, its center is near (223, 120), and it is about 113 pixels high."""
    from skimage import data

    return Image.fromarray(data.astronaut()).resize((side, side), Image.Resampling.BICUBIC)


def collage(size, *portraits):
    """A gray picture with portraits: (left, top, side) each."""
    picture = Image.new("RGB", size, "gray")
    for left, top, side in portraits:
        picture.paste(portrait(side), (left, top))
    return picture
