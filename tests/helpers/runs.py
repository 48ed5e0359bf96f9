"""Starting runs in processes of their own, and reading what they left behind."""

import json
import pathlib

import portpicker

from blur_jax.models import network
from blur_jax.runs import checkpoints, distributed
from blur_jax.train import optimizer
from blur_jax.train import start as run_start
from tests.helpers import forked
from tests.helpers.saved import assert_equal as assert_states_equal  # noqa: F401

_WORKER = pathlib.Path(__file__).with_name("worker.py")


def start(config, workdir, *, devices=1, processes=1, do=("train",)):
    """Starts a run; returns its processes."""
    task = {"config": json.loads(config.to_json()), "workdir": str(workdir), "devices": devices, "do": do}
    task |= {"processes": processes, "port": portpicker.pick_unused_port() if processes > 1 else 0}
    return [forked.Program(_WORKER, json.dumps(task | {"index": index})) for index in range(processes)]


def outputs(processes, *, timeout=600):
    """Waits for a run; returns what each process printed."""
    return ["".join(process.communicate(timeout)) for process in processes]


def finish(processes):
    """Waits for a run; returns what it printed. Fails, showing it, unless every process exits with 0."""
    try:
        printed = outputs(processes)
    finally:
        for process in processes:
            process.kill()
    codes = [process.returncode for process in processes]
    assert codes == [0] * len(codes), f"exit codes {codes}\n" + "\n".join(output[-4000:] for output in printed)
    return "\n".join(printed)


def run(config, workdir, **options):
    return finish(start(config, workdir, **options))


def initial_params(config):
    """The parameters that a run of this config starts from, without pretrained weights and linear probe."""
    return run_start.initial_params(config, network.from_config(config.model))


def last_state(config, workdir):
    """The newest state that a run saved."""
    return state_at(config, workdir, checkpoints.latest_step(workdir))


def state_at(config, workdir, step):
    """The state that a run saved at a step."""
    model, tx = network.from_config(config.model), optimizer.build(config.optimizer, config.steps)
    template = run_start.initial_state(config, model, tx, None)
    return template.at(step, checkpoints.restore(workdir, step, template.arrays())[0])


def sigterm_at(monkeypatch, step):
    """Has the machine taken away at this step."""
    monkeypatch.setattr(distributed.Preemption, "reached", lambda self, now: now == step)
