"""Scores of images on the CPU by XLA and by onnxruntime, from uint8 to NumPy, on the same cores.

    python -m benchmarks.onnx_forward

Backs `load_scorer(..., backend="onnx")`; the ratio is what counts. Parameters are random: time does not depend on them.
"""

from collections.abc import Callable

import jax
import numpy as np
from absl import flags

from benchmarks import timing
from blur_jax.export import onnx_backend
from blur_jax.models import network
from blur_jax.runs import inference
from configs import default, wider_blur

NETWORKS = {"demo": default.get_config, "wider_blur": wider_blur.get_config}
BATCHES = (1, 16, 64, 256)


def _calls(model: network.Network, params: network.Params, images: np.ndarray) -> dict[str, Callable]:
    score, run = inference.make_score(model), onnx_backend.make(model, params, images.shape[1])
    return {"xla": lambda: score(params, images, batch_size=len(images)), "onnx": lambda: run(images)}


def run(names: list[str], batches: list[int], *, repeats: int, cpu: bool) -> None:
    """Prints a line for each network and batch size.

    Args:
        names: keys of `NETWORKS`.
        batches: numbers of images.
        repeats: rounds.
        cpu: see `timing.seconds`.
    """
    print(f"images per {'CPU second' if cpu else 'second'}")
    print("network     px  batch |      xla      onnx  ratio | largest difference")
    for name in names:
        config = NETWORKS[name]()
        model, size = network.from_config(config.model), config.data.image_size
        images = np.random.default_rng(0).integers(0, 256, (max(batches), size, size, 3), dtype=np.uint8)
        params = jax.jit(model.init)(jax.random.key(0), inference.to_float(images[:1]))["params"]
        for batch in batches:
            calls = _calls(model, params, images[:batch])
            difference = np.abs(calls["xla"]() - calls["onnx"]()).max()
            seconds = timing.seconds(calls, repeats=repeats, cpu=cpu)
            xla, onnx = batch / seconds["xla"], batch / seconds["onnx"]
            print(
                f"{name:10} {size:3} {batch:6} | {xla:8.0f} {onnx:9.0f} {onnx / xla:6.2f} | {difference:.0e}",
                flush=True,
            )


if __name__ == "__main__":
    flags.DEFINE_multi_enum("network", list(NETWORKS), list(NETWORKS), "Networks to time.")
    flags.DEFINE_multi_integer("batch", list(BATCHES), "Numbers of images.", lower_bound=1)
    timing.define_cpu()
    timing.define_repeats(7)
    options = flags.FLAGS
    timing.main(lambda: run(options.network, options.batch, repeats=options.repeats, cpu=options.cpu))
