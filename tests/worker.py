"""One process of a run, as the tests start it: python tests/worker.py '{"config": ..., "workdir": ..., ...}'."""

import json
import sys

import jax
import ml_collections


def main():
    task = json.loads(sys.argv[1])
    jax.config.update("jax_num_cpu_devices", task["devices"])
    if task.get("processes", 1) > 1:
        jax.distributed.initialize(f"localhost:{task['port']}", task["processes"], task["index"])

    from blur_jax import evaluate, train

    config = ml_collections.ConfigDict(task["config"])
    if "another probe" in task["do"]:
        fit_another_probe(task["index"])
    if f"fail on {task['index']}" in task["do"]:
        fail_to_open()
    try:
        if "train" in task["do"] and not train.train(config, task["workdir"]):
            return
        if "evaluate" in task["do"]:
            evaluate.evaluate(config, task["workdir"])
    except (ValueError, OSError) as error:  # As launch.py does.
        sys.exit(f"error: {error}")


def fit_another_probe(index):
    """Fits another head on each process but the first."""
    from blur_jax import probe

    fit = probe.logistic_ranking
    probe.logistic_ranking = lambda *args, **kwargs: tuple(part + index for part in fit(*args, **kwargs))


def fail_to_open():
    from blur_jax import initialization

    def fail(config):
        raise OSError("the disk of this host is full")

    initialization.open_pairs = fail


if __name__ == "__main__":
    main()
