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
    if "train" in task["do"] and not train.train(config, task["workdir"]):
        return
    if "evaluate" in task["do"]:
        evaluate.evaluate(config, task["workdir"])


if __name__ == "__main__":
    main()
