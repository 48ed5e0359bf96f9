"""One process of `benchmarks.scaling`: times the train step on all devices; process 0 prints JSON."""

import functools
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import jax
import numpy as np

from blur_jax import distributed, initialization, models, train, train_state, train_step
from blur_jax.data import Batch
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


def _batch(config: Any) -> Batch:
    """This process's share of a global batch of noise."""
    rng, size = np.random.default_rng(0), config.data.image_size
    share = config.batch.labeled // jax.process_count()
    labeled, unlabeled = rng.integers(0, 256, (2, share, 2, size, size, 3), np.uint8)
    return Batch(labeled, np.ones(share, np.int8), unlabeled)


def _rounds(calls: Mapping[str, Callable[[], Any]], repeats: int) -> list[dict[str, tuple[float, float]]]:
    """Seconds and CPU seconds of each call, round after round."""
    rounds = []
    for _ in range(repeats):
        spent = {}
        for name, call in calls.items():
            start = (time.perf_counter(), time.process_time())
            jax.block_until_ready(call())
            spent[name] = (time.perf_counter() - start[0], time.process_time() - start[1])
        rounds.append(spent)
    return rounds


def measure(config: Any, *, repeats: int) -> dict[str, Any]:
    """Times the step on all devices of all processes, which must call this together.

    Returns:
        "seconds" and "cpu": {variant: median}, CPU seconds being this process's; "collectives" and "handed_over":
        median shares of the CPU seconds of the whole step, of the same round; "trained_bytes" of the parameters;
        "all_reduced_bytes" of a step; "images" in the global batch.
    """
    model, tx = initialization.build(config)
    params = initialization.initial_params(config, model)
    state = distributed.replicate(jax.device_get(train_state.create(params, tx)))
    batch = _batch(config)
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
    _rounds(calls, 2)
    rounds = _rounds(calls, repeats)
    trained, _ = models.partition(params, config.model.frozen_blocks)
    return {
        "seconds": {name: statistics.median(spent[name][0] for spent in rounds) for name in calls},
        "cpu": {name: statistics.median(spent[name][1] for spent in rounds) for name in calls},
        "collectives": statistics.median(1 - spent[ALONE][1] / spent[WHOLE][1] for spent in rounds),
        "handed_over": statistics.median(spent[HANDED_OVER][1] / spent[WHOLE][1] for spent in rounds),
        "trained_bytes": sum(4 * leaf.size for leaf in jax.tree.leaves(trained)),
        "all_reduced_bytes": all_reduced_bytes(program),
        "images": train.images_per_step(config),
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
