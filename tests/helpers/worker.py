"""One process of a run, as tests/helpers/runs.py starts it: worker.py '{"config": ..., "workdir": ..., ...}'."""

import contextlib
import json
import re
import sys
import time
from functools import partial
from unittest import mock

import jax
import ml_collections
import numpy as np


def main():
    task = json.loads(sys.argv[1])
    jax.config.update("jax_num_cpu_devices", task["devices"])
    if task.get("processes", 1) > 1:
        jax.distributed.initialize(f"localhost:{task['port']}", task["processes"], task["index"])

    from blur_jax.runs import checkpoints

    config, failed = ml_collections.ConfigDict(task["config"]), False
    if "save slowly" in task["do"]:
        checkpoints.CheckpointWriter.save = lambda *_, **__: time.sleep(60)
    for action in task["do"]:
        try:
            perform(action, config, task["workdir"], task["index"])
        except (ValueError, OSError) as error:  # As launch.py does.
            print(f"error: {error}", flush=True)
            failed = True
    sys.exit(failed)


def perform(action, config, workdir, index):
    from blur_jax.evaluate import evaluation
    from blur_jax.runs import distributed
    from blur_jax.train import config_check, dry_run, loop

    if found := re.fullmatch("fail on (.*) in (.*):(.*) during (.*)", action):
        who, module, function, action = found.groups()
        full = mock.patch(f"blur_jax.{module}.{function}", side_effect=OSError("the disk of this host is full"))
        with full if int(who) == index else contextlib.nullcontext():
            perform(action, config, workdir, index)
    elif found := re.fullmatch("train(?: in (.*))?", action):
        workdir = found[1] or workdir
        config_check.check_config(config, workdir)
        loop.train(config, workdir)
    elif found := re.fullmatch("evaluate (.*) into (.*)", action):
        evaluation.evaluate(config, *found.groups())
    elif action == "dry run":
        config_check.check_config(config, workdir)
        distributed.say(dry_run.report(config, workdir))
    elif action == "fit another probe on each":
        fit_another_probe(index)
    elif action == "step twice by each interface":
        step_by_each_interface(config)


def step_by_each_interface(config):
    """Makes two updates with `distributed.pmap`, and with `jax.shard_map` of global arrays; prints what differs."""
    from blur_jax.runs import distributed
    from blur_jax.train import loop, start
    from blur_jax.train import step as train_step

    pairs, (model, tx) = start.open_pairs(config), start.build(config)
    mesh = jax.sharding.Mesh(jax.devices(), distributed.AXIS)
    whole, split = (jax.sharding.PartitionSpec(*axes) for axes in ((), (distributed.AXIS,)))
    step = partial(train_step.train_step, model=model, tx=tx, config=config)
    mapped = jax.shard_map(step, mesh=mesh, in_specs=(whole, split), out_specs=whole, check_vma=False)
    by_pmap, by_shard_map = distributed.pmap(step), jax.jit(mapped)
    state = start.initial_state(config, model, tx, None)
    ours, theirs = distributed.replicate(state), state
    sharding = jax.sharding.NamedSharding(mesh, split)
    for _, batch in zip(range(2), loop.make_batches(config, pairs, 0)):
        ours, _ = by_pmap(ours, distributed.shard(batch))
        theirs, _ = by_shard_map(
            theirs, jax.tree.map(lambda part: jax.make_array_from_process_local_data(sharding, part), batch)
        )
    moved, apart = (
        max(float(np.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, jax.device_get(states))))
        for states in ((ours.params, state.params), (ours.params, theirs.params))
    )
    print("updates", json.dumps({"moved": moved, "apart": apart, "devices": mesh.size}))


def fit_another_probe(index):
    """Fits a head, to which each process adds its index, and prints what it gets."""
    from blur_jax.models import linear_probe
    from blur_jax.train import probe

    def other_fit(*args, fit=linear_probe.logistic_ranking, **options):
        return tuple(part + index for part in fit(*args, **options))

    features, pairs, order = np.array([[0.0], [2.0]]), np.array([[0, 1]]), np.array([1])
    with mock.patch.object(linear_probe, "logistic_ranking", other_fit):
        head = probe.fit_head(features, pairs, order, strength=0.5)
    print("head", head["kernel"].round(4).tolist(), head["bias"].round(4).tolist())


if __name__ == "__main__":
    main()
