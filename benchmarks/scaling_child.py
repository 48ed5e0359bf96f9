"""One process of `benchmarks.scaling`: times the train step on all devices; process 0 prints JSON."""

import functools
import json
import re
import sys
from typing import Any
from unittest import mock

import jax
import numpy as np

from benchmarks import timing
from benchmarks.train_step import draw_batch
from blur_jax.models import network
from blur_jax.runs import distributed
from blur_jax.train import start
from blur_jax.train import state as train_state
from blur_jax.train import step as train_step
from blur_jax.train.run import images_per_step
from configs import default

WHOLE, ALONE, HANDED_OVER = "whole", "without collectives", "handed over"
_BYTES = {"f32": 4, "bf16": 2, "s32": 4, "u32": 4, "pred": 1}


def all_reduced_bytes(program: str) -> int:
    """Returns how many bytes the all-reduces of a compiled program, its text, have as their results on each device."""
    found = re.findall(r"= (.*?) all-reduce(?:-start)?\(", program)
    shapes = [shape for result in found for shape in re.findall(r"(\w+)\[([\d,]*)\]", result)]
    return sum(_BYTES[kind] * int(np.prod([int(n) for n in size.split(",") if n])) for kind, size in shapes)


def _config(pairs: int, backbone: str, size: int) -> Any:
    config = default.get_config()
    config.model.backbone, config.data.image_size = backbone, size
    config.batch.labeled = config.batch.unlabeled = pairs * jax.device_count()
    return config


def measure(config: Any, *, repeats: int) -> dict[str, Any]:
    """Times the step on all devices of all processes, which must call this together.

    Returns:
        "seconds" and "cpu": {variant: median}, CPU seconds being this process's; "collectives" and "handed_over":
        median shares of the CPU seconds of the whole step, of the same round; "trained_bytes" of the parameters;
        "all_reduced_bytes" of a step; "images" in the global batch.
    """
    model, tx = start.build(config)
    params = start.initial_params(config, model)
    state = distributed.replicate(jax.device_get(train_state.create(params, tx)))
    # This process's share.
    batch = jax.tree.map(lambda part: part[: len(part) // jax.process_count()], draw_batch(config))
    step = distributed.pmap(functools.partial(train_step.train_step, model=model, tx=tx, config=config))
    alone = distributed.pmap(functools.partial(train_step.train_step, model=model, tx=tx, config=config))
    # What is left of a step without its mathematics: the batch is taken apart and sent, the state goes in and out.
    nothing = distributed.pmap(lambda state, batch: (state, jax.tree.map(lambda x: x.ravel()[0], batch)))
    calls = {
        WHOLE: lambda: step(state, distributed.shard(batch)),
        ALONE: lambda: alone(state, distributed.shard(batch)),
        HANDED_OVER: lambda: nothing(state, distributed.shard(batch)),
    }
    program = step.lower(state, distributed.shard(batch)).compile().as_text()
    with mock.patch.object(distributed, "psum", lambda tree: tree):
        jax.block_until_ready(calls[ALONE]())  # Traced and compiled here, with the replacement in place.
    spent = {name: np.array(clocks) for name, clocks in timing.both_clocks(calls, repeats=repeats).items()}
    cpu = {name: clocks[:, 1] for name, clocks in spent.items()}
    trained, _ = network.partition(params, config.model.frozen_blocks)
    return {
        "seconds": {name: float(np.median(spent[name][:, 0])) for name in calls},
        "cpu": {name: float(np.median(cpu[name])) for name in calls},
        "collectives": float(np.median(1 - cpu[ALONE] / cpu[WHOLE])),
        "handed_over": float(np.median(cpu[HANDED_OVER] / cpu[WHOLE])),
        "trained_bytes": sum(4 * leaf.size for leaf in jax.tree.leaves(trained)),
        "all_reduced_bytes": all_reduced_bytes(program),
        "images": images_per_step(config),
    }


def main() -> None:
    """Joins the other processes, if there are any, and measures."""
    options = json.loads(sys.argv[1])
    if options["processes"] > 1:
        distributed.join(options["coordinator"], options["processes"], options["process"])
    config = _config(options["pairs"], options["backbone"], options["image_size"])
    found = measure(config, repeats=options["repeats"])
    if distributed.is_process_zero():
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
