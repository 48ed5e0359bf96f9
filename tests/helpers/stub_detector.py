"""Stands in for the face detector, so that pictures have faces without showing any."""

from blur_jax.data import face_boxes, preprocessing
from blur_jax.data.face_boxes import Face


def find(picture):
    """The faces in a picture; `count` says how many."""
    return [Face((2 * index, index, 30 - index, 30 - index), 0.9 - index / 10) for index in range(count(picture))]


def count(picture):
    """The red value in the corner of a picture, modulo 4, is the number of faces in it."""
    return preprocessing.to_image(picture).getpixel((0, 0))[0] % 4


def install(patch=setattr):
    """`patch` may be `monkeypatch.setattr`."""
    patch(face_boxes, "find", find)
    patch(face_boxes, "check", lambda: None)
