"""Writes a graph in any of the three export formats, and runs the resulting files without the training run.

Metadata is {"blur_jax.<key>": JSON}; see metadata.py.
"""

import contextlib
import dataclasses
import importlib.util
import io
import json
import logging
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import ml_collections
import numpy as np
from flax import traverse_util
from jax.extend.core import jaxpr_as_fun

from blur_jax.export.graph import Graph
from blur_jax.metrics.calibration import Calibration
from blur_jax.models import network as models

Metadata = dict[str, str]
Columns = dict[str, np.ndarray]
Runner = Callable[[np.ndarray], Columns]  # From uint8 [n, S, S, 3] to {column: float32 [n]}.

OPSET = 18  # The oldest ONNX opset that supports the graph, because runtimes lag behind.
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


@dataclasses.dataclass(frozen=True)
class Format:
    """How to write and read one export format."""

    ending: str
    packages: tuple[str, ...]  # From the `export` extra.
    build: Callable[[Graph, Metadata], bytes]
    open: Callable[[str | os.PathLike], Runner]
    read_metadata: Callable[[str | os.PathLike], Metadata] | None  # None if the metadata are in a separate file.


def build_onnx(graph: Graph, metadata: Metadata) -> bytes:
    """Serializes the graph as an ONNX model with input "images", any batch size and an output for each column."""
    import jax2onnx
    import onnx

    graph = graph.portable()

    def function(images: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(graph.columns(images).values())

    shape = graph.input_shape("n")
    # jax2onnx's layers rely on rank promotion.
    with jax.numpy_rank_promotion("allow"), _quiet():
        if graph.has_group_norm:
            # jax2onnx 0.13 exports Flax's GroupNorm incorrectly if the batch size is symbolic, and cannot read jax
            # 0.12's jit, so pass it plain arithmetic.
            shape = graph.input_shape(*jax.export.symbolic_shape("n"))
            with jax.disable_jit():
                function = jaxpr_as_fun(jax.make_jaxpr(function)(shape))
        model: Any = jax2onnx.to_onnx(
            function, [shape], input_names=["images"], output_names=graph.names, model_name="blur_jax", opset=OPSET
        )
    # jax2onnx sets a newer version than the graph needs, which older runtimes reject.
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString(deterministic=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides jax2onnx's messages, such as warnings about layers from other libraries that it cannot load."""
    loggers = [logging.getLogger(name) for name in ("jax2onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def session(model: bytes) -> Any:
    """Returns an onnxruntime session on the CPU for the contents of an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Spinning threads would take cores away from the threads that decode pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def open_onnx(path: str | os.PathLike) -> Runner:
    """Returns a function that runs an ONNX file with onnxruntime on the CPU."""
    loaded = session(pathlib.Path(path).read_bytes())
    names = [output.name for output in loaded.get_outputs()]
    return lambda images: dict(zip(names, loaded.run(names, {"images": images})))


def read_onnx_metadata(path: str | os.PathLike) -> Metadata:
    import onnx

    return {entry.key: entry.value for entry in onnx.load(os.fspath(path)).metadata_props}


def build_stablehlo(graph: Graph, metadata: Metadata) -> bytes:
    """Serializes the graph with `jax.export`, for any batch size and for CPUs, GPUs and TPUs."""
    del metadata  # The format cannot store it.
    (batch,) = jax.export.symbolic_shape("n")
    exported = jax.export.export(jax.jit(graph.columns), platforms=_PLATFORMS)(graph.input_shape(batch))
    return bytes(exported.serialize())


def open_stablehlo(path: str | os.PathLike) -> Runner:
    """Returns a function that runs a `build_stablehlo` file in JAX, on its default device."""
    return _compiled(jax.export.deserialize(bytearray(pathlib.Path(path).read_bytes())).call)


def _compiled(columns: Callable[..., dict[str, jax.Array]]) -> Runner:
    call = jax.jit(columns)
    return lambda images: {name: np.asarray(column) for name, column in call(images).items()}


def build_safetensors(graph: Graph, metadata: Metadata) -> bytes:
    """Serializes the parameters under their paths, such as "backbone/stem/conv/kernel"."""
    from safetensors.numpy import save

    flat = traverse_util.flatten_dict(graph.params, sep="/")
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in sorted(flat.items())}
    return save(arrays, metadata)


def load_safetensors(path: str | os.PathLike) -> tuple[Graph, Metadata]:
    """Rebuilds the graph and reads the metadata from a `build_safetensors` file."""
    from safetensors.numpy import load_file

    metadata = read_safetensors_metadata(path)
    values = {key: json.loads(metadata[f"blur_jax.{key}"]) for key in ("network", "preprocessing", "calibration")}
    network = models.from_config(ml_collections.ConfigDict(values["network"]))
    params = traverse_util.unflatten_dict(load_file(os.fspath(path)), sep="/")
    calibration = values["calibration"] and Calibration.from_dict(values["calibration"])
    return Graph(network, params, values["preprocessing"]["image_size"], calibration), metadata


def open_safetensors(path: str | os.PathLike) -> Runner:
    """Returns a function that runs a `build_safetensors` file in JAX."""
    return _compiled(load_safetensors(path)[0].columns)


def read_safetensors_metadata(path: str | os.PathLike) -> Metadata:
    from safetensors import safe_open

    with safe_open(os.fspath(path), framework="numpy") as file:
        return file.metadata()


FORMATS = {
    "onnx": Format(".onnx", ("jax2onnx", "onnx", "onnxruntime"), build_onnx, open_onnx, read_onnx_metadata),
    "stablehlo": Format(".stablehlo", ("flatbuffers",), build_stablehlo, open_stablehlo, None),
    "safetensors": Format(
        ".safetensors", ("safetensors",), build_safetensors, open_safetensors, read_safetensors_metadata
    ),
}


def check_installed(name: str) -> None:
    """Raises ImportError with the package's name if a package that a format needs is missing."""
    for package in FORMATS[name].packages:
        if importlib.util.find_spec(package) is None:
            raise ImportError(f'{name} needs the {package} package; run pip install -e ".[export]"')
