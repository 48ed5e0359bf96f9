"""One process of a run, as tests/helpers/runs.py starts it: worker.py '{"config": ..., "workdir": ..., ...}'."""

import importlib
import json
import re
import sys
import time

import jax
import ml_collections
import numpy as np


def main():
    task = json.loads(sys.argv[1])
    jax.config.update("jax_num_cpu_devices", task["devices"])
    if task.get("processes", 1) > 1:
        jax.distributed.initialize(f"localhost:{task['port']}", task["processes"], task["index"])

    from blur_jax.evaluate import evaluation
    from blur_jax.runs import checkpoints, distributed
    from blur_jax.train import config_check, dry_run, loop

    config = ml_collections.ConfigDict(task["config"])
    if "fit another probe on each" in task["do"]:
        fit_another_probe(task["index"])
    if "save slowly" in task["do"]:
        checkpoints.CheckpointWriter.save = lambda *_, **__: time.sleep(60)
    for action in task["do"]:
        if action.startswith(f"fail on {task['index']} in "):
            fail_in(action.split()[-1])
    try:
        if {"train", "dry run"} & set(task["do"]):
            config_check.check_config(config, task["workdir"])
        if "train" in task["do"] and not loop.train(config, task["workdir"]):
            return
        for action in task["do"]:
            if found := re.fullmatch("evaluate (.*) into (.*)", action):
                evaluation.evaluate(config, *found.groups())
        if "dry run" in task["do"]:
            distributed.say(dry_run.report(config, task["workdir"]))
    except (ValueError, OSError) as error:  # As launch.py does.
        sys.exit(f"error: {error}")


def fit_another_probe(index):
    """Fits a head, to which each process adds its index, and prints what it gets."""
    from blur_jax.models import linear_probe
    from blur_jax.train import start

    fit = linear_probe.logistic_ranking
    linear_probe.logistic_ranking = lambda *args, **kwargs: tuple(part + index for part in fit(*args, **kwargs))
    features, pairs, order = np.array([[0.0], [2.0]]), np.array([[0, 1]]), np.array([1])
    head = start.fit_head(features, pairs, order, strength=0.5)
    print("head", head["kernel"].round(4).tolist(), head["bias"].round(4).tolist())


def fail_in(name):
    """Has a function of blur_jax, such as "models.linear_probe:logistic_ranking", fail."""

    def fail(*_, **__):
        raise OSError("the disk of this host is full")

    module, _, attributes = name.partition(":")
    *path, function = attributes.split(".")
    owner = importlib.import_module(f"blur_jax.{module}")
    for attribute in path:
        owner = getattr(owner, attribute)
    setattr(owner, function, fail)


if __name__ == "__main__":
    main()
