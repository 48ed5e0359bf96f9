"""Compares the speed of the training step with the same step in PyTorch as an expert would write it.

    python -m benchmarks.peers.train_step --config=configs/default.py

In one process and in alternating rounds, times the step, the step without augmentation and degradation, and a forward
pass on the same images. If both libraries find a GPU, both use it, and PyTorch compiles its networks. "JAX's rate" is
relative to PyTorch's in each round; above 1, JAX is faster. Needs `pip install -e ".[peers]"`.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import ml_collections
import numpy as np
import torch
from absl import flags

from benchmarks import timing, train_step
from benchmarks.peers import expert
from blur_jax.data.batches import Batch
from blur_jax.models import network
from blur_jax.runs import config_flag, distributed
from blur_jax.score.pipeline import available_cores
from blur_jax.train import start

JAX, EXPERT = "JAX", "PyTorch, expert"
STEP, BARE, FORWARD = "step", "step without augmentation and degradation", "forward pass"


def run(config: ml_collections.ConfigDict, *, repeats: int, cpu: bool = False) -> None:
    """Prints a Markdown table; see `timing.rounds` for `repeats` and `cpu`."""
    device = _choose_device()
    batch = train_step.draw_batch(config)
    params = start.initial_params(config, network.from_config(config.model))
    trainer = _faster_trainer(config, batch, params, device, cpu=cpu)
    times = timing.rounds(_ours(config, batch, params) | _expert(trainer, batch), repeats=repeats, cpu=cpu)

    images = sum(2 * len(pairs) for pairs in (batch.labeled, batch.unlabeled) if pairs is not None)
    print(
        f"{config.model.backbone} {config.model.dtype}, {images} images of {config.data.image_size} px; PyTorch "
        f"{torch.__version__} on {device.type}, {torch.get_num_threads()} threads, {trainer.memory_format}; {repeats} "
        f"rounds, {'CPU ' if cpu else ''}milliseconds: median [quartiles]"
    )
    print(table(times))


def table(times: dict) -> str:
    """Returns a Markdown table of {(library, part): seconds of each round}."""
    lines = [f"| | {JAX} | {EXPERT} | JAX's rate |", "|---|---|---|---|"]
    for part in (STEP, BARE, FORWARD):
        ours, theirs = np.asarray(times[JAX, part]), np.asarray(times[EXPERT, part])
        cells = timing.spread(1e3 * ours, 0), timing.spread(1e3 * theirs, 0), timing.spread(theirs / ours)
        lines.append(f"| {' | '.join([part, *cells])} |")
    return "\n".join(lines)


def _ours(config: ml_collections.ConfigDict, batch: Batch, params: network.Params) -> dict:
    calls = {}
    for part, without in ((BARE, ("degradation", "augmentation")), (STEP, ())):
        step, arguments = train_step.make_step(config, batch, without)
        calls[JAX, part] = partial(step, *arguments)
    model: Any = network.from_config(config.model)
    forward = distributed.pmap(lambda params, images: distributed.all_gather(model.apply({"params": params}, images)))
    calls[JAX, FORWARD] = partial(forward, distributed.replicate(params), distributed.shard(_all_images(batch)))
    return calls


def _choose_device() -> torch.device:
    """Configures PyTorch like JAX and returns its device, which is a GPU if available."""
    torch.set_num_threads(available_cores())
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")  # Like in JAX.
    return torch.device("cuda")


def _faster_trainer(
    config: ml_collections.ConfigDict, batch: Batch, params: network.Params, device: torch.device, *, cpu: bool = False
) -> expert.Trainer:
    """Returns the expert trainer in the memory format with the faster step."""

    def build(memory_format: torch.memory_format) -> expert.Trainer:
        return expert.Trainer(config, params, device, memory_format, is_compiled=device.type == "cuda")

    formats = (torch.contiguous_format, torch.channels_last)
    tries = {name: _waited(partial(build(name).update, batch), device) for name in formats}
    seconds = timing.seconds(tries, repeats=3, cpu=cpu)
    return build(min(seconds, key=lambda name: seconds[name]))


def _expert(trainer: expert.Trainer, batch: Batch) -> dict:
    images = torch.from_numpy(_all_images(batch)).to(trainer.device).permute(0, 3, 1, 2)
    images = images.contiguous(memory_format=trainer.memory_format)
    functions = {
        STEP: partial(trainer.update, batch),
        BARE: partial(trainer.update, batch, changes=False),
        FORWARD: partial(trainer.scores_without_gradient, trainer.score, images),
    }
    return {(EXPERT, part): _waited(function, trainer.device) for part, function in functions.items()}


def _waited(function: Callable, device: torch.device) -> Callable:
    """Wraps a function so that it waits for the GPU to finish."""

    def call() -> None:
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return call


def _all_images(batch: Batch) -> np.ndarray:
    """Returns float32 [n, S, S, 3] in [0, 1]."""
    parts = [pairs for pairs in (batch.labeled, batch.unlabeled) if pairs is not None]
    return np.concatenate(parts).reshape(-1, *parts[0].shape[2:]).astype(np.float32) / 255


if __name__ == "__main__":
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # Leaves GPU memory for PyTorch.
    config_flag.define_config(train_step.CONFIG)
    timing.define_rounds(7)
    timing.main(lambda: run(flags.FLAGS.config, repeats=flags.FLAGS.repeats, cpu=flags.FLAGS.cpu))
