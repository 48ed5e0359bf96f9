"""Scores pictures with an exported scorer, without JAX: python examples/score_onnx.py scorer.onnx a.jpg b.jpg."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def prepare(image: Image.Image, protocol: dict) -> np.ndarray:
    """Crops a picture to its central square and resizes it as in training; returns uint8 [S, S, 3]."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # Keep the high byte of 16-bit gray; if fewer bits are used, scale first.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    rgb = Image.new("RGB", image.size, "white")  # Transparent parts become white.
    rgb.paste(image.convert("RGB"), mask=image.convert("RGBA").getchannel("A") if image.has_transparency_data else None)
    side = max(1, min(round(protocol["context"] * max(rgb.size)), *rgb.size))
    left, top = (round((length - side) / 2) for length in rgb.size)
    square = rgb.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((protocol["image_size"],) * 2, Image.Resampling.BICUBIC))


session = onnxruntime.InferenceSession(sys.argv[1])
crop_and_resize = json.loads(session.get_modelmeta().custom_metadata_map["blur_jax.preprocessing"])
for path in sys.argv[2:]:
    images = prepare(Image.open(path), crop_and_resize)[None]
    blur, sharpness = map(np.asarray, session.run(["blur", "sharpness"], {"images": images}))
    print(f"{path}\tblur {blur[0]:.6f}\tsharpness {sharpness[0]:.4f}")
