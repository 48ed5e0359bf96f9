"""The metadata of an exported file: JSON under the keys `blur_jax.*`, in every format (docs/export.md)."""

import json
from typing import Any

from blur_jax.data.preprocessing import MAX_ASPECT, MIN_SIDE
from blur_jax.export.formats import Metadata
from blur_jax.runs.checkpoints import Checkpoint
from blur_jax.runs.threshold import Threshold
from blur_jax.runs.version import version

PREFIX = "blur_jax."
# Column -> (range, what a larger value means).
COLUMNS = {
    "blur": ([0, 1], "blurrier"),
    "sharpness": ([0, 100], "sharper; 100 * (1 - blur), scaled like the quality components of ISO/IEC 29794-1"),
    "blur_percentile": ([0, 100], "blurrier; the percentage of the reference set that is sharper"),
    "p_blurrier_than_anchor": ([0, 1], "blurrier; the probability that people call it blurrier than the anchor"),
}
PROTOCOL = (
    "Rotate the picture upright according to its EXIF orientation. Convert it to 8-bit RGB: paste transparent parts"
    " onto white, take the high byte of 16-bit values, and ignore color profiles. Crop a square whose side is"
    " {context:g} times the longer side of the face box (or of the picture, without a box), but at most the shorter"
    " side of the picture; center it on the box, then shift it into the picture. Resize the square to {size} x {size}"
    " with an antialiased bicubic filter like Pillow's BICUBIC (a = -0.5, its support grows with the reduction)."
    " Squares smaller than {least} pixels, and whole pictures whose longer side is more than {aspect} times their"
    " shorter side, are not scored."
)


def describe(
    saved: Checkpoint, *, outputs: list[str], fingerprint: str, threshold: Threshold | None, license_id: str
) -> dict[str, Any]:
    """Returns the metadata of an export, {key: JSON value}; `license_id` is a Hugging Face ID, such as "other"."""
    protocol, calibration = saved.preprocessing, saved.calibration
    size = protocol.image_size
    return {
        "version": version(),
        "direction": "blur: larger is blurrier; sharpness: larger is sharper",
        "input": {"name": "images", "dtype": "uint8", "shape": ["n", size, size, 3], "channels": "RGB, sRGB-encoded"},
        "outputs": {
            name: {"dtype": "float32", "shape": ["n"], "range": COLUMNS[name][0], "larger_is": COLUMNS[name][1]}
            for name in outputs
        },
        "preprocessing": {
            **protocol.to_dict(),
            **{"filter": "bicubic", "least_side": MIN_SIDE, "largest_aspect": MAX_ASPECT},
            "description": PROTOCOL.format(context=protocol.context, size=size, least=MIN_SIDE, aspect=MAX_ASPECT),
        },
        "calibration": None if calibration is None else calibration.to_dict(),
        "anchor": None if calibration is None else calibration.median,
        "threshold": None if threshold is None else threshold.to_dict(),
        "checkpoint": dict(fingerprint=fingerprint, step=saved.step, validation_accuracy=saved.validation_accuracy),
        "data": saved.config.data.name,
        "network": saved.config.model.to_dict() | {"dtype": "float32"},
        "license": {"id": license_id, "note": _license_note(saved)},
    }


def encode(described: dict[str, Any]) -> Metadata:
    """Returns metadata in the form that files store, {"blur_jax.<key>": JSON}."""
    return {PREFIX + key: json.dumps(value) for key, value in described.items()}


def decode(metadata: Metadata) -> dict[str, Any]:
    """Reverses `encode`; drops other programs' entries."""
    return {key[len(PREFIX) :]: json.loads(text) for key, text in metadata.items() if key.startswith(PREFIX)}


def _license_note(saved: Checkpoint) -> str:
    started = ", and so are the EfficientNet-Lite0 ImageNet weights that training started from"
    started *= bool(saved.config.model.pretrained)
    return (
        f"blur_jax is licensed under Apache-2.0{started}. The licenses of the pictures and labels that the scorer was"
        " trained on may restrict the use of its weights; blur_jax does not know their terms."
    )
