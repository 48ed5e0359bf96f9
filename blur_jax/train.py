"""The training loop: `train(config, workdir)`, and nothing else."""

import functools
import json
import math
import os
import signal

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.experimental import multihost_utils

from blur_jax import (
    checkpoints,
    data,
    evaluate,
    metrics,
    models,
    optimizer,
    parallel,
    pretrained,
    probe,
    train_state,
    writers,
)
from blur_jax import train_step as step_lib

CONFIG_FILE = "config.json"
COLLAPSED = 0.01  # Standard deviation of scores over the validation images below which they tell nothing apart.
# Where data lie is no part of what a run is: it may go on with them elsewhere.
_LOCATIONS = ("data.dir", "data.manual_dir")


def is_due(step: int, every: int) -> bool:
    """Whether something that happens every so many steps happens at this one."""
    return step % every == 0


def train(config: ml_collections.ConfigDict, workdir: str) -> bool:
    """Trains a scorer, or goes on with a run that was stopped.

    The state after any step is a function of the config alone, so a run that was killed and started again ends where an
    uninterrupted one does. SIGTERM saves and returns early.

    Args:
        config: see configs/default.py.
        workdir: the run directory, created where needed.

    Returns:
        True when the run has all its steps behind it, False when it was asked to stop before.

    Raises:
        ValueError: a config that cannot work, or `workdir` holds a run of another config.
        OSError: `workdir` cannot be written.
        FloatingPointError: the loss or its gradient is no longer finite; the last good checkpoint is kept.
    """
    check(config)
    claim(config, workdir)
    parts = _open_parts(config)
    validation = data.open_split(config.data, "labeled", "validation")
    model = models.from_config(config.model)
    tx = optimizer.build(config.optimizer, config.steps, trainable=models.trainable(config.model))
    saver = checkpoints.Checkpoints(workdir, keep=config.keep)
    state = _restore_or_init(config, model, tx, saver, parts["labeled"][0])
    first_step = int(state.step)
    if first_step >= config.steps:
        _say(f"{workdir}: this run has finished its {config.steps} steps; give another --workdir to train anew")
        return True
    if first_step:
        _say(f"{workdir}: going on from step {first_step}")

    run_step = parallel.pmap(step_lib.make_train_step(model, tx, config), donate_argnums=(0,))
    validate = _make_validate(config, model, validation)
    batches = data.train_batches(
        parts,
        seed=config.seed,
        first_step=first_step,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    images_per_step = 2 * sum(size for _, size in parts.values())
    writer = writers.Writer(workdir, first_step=first_step, steps=config.steps, images_per_step=images_per_step)
    log = _Log(config, writer, saver)
    state = parallel.replicate(state)
    try:
        with _Preemption() as preemption:
            for step in range(first_step + 1, config.steps + 1):
                state, figures = run_step(state, parallel.shard(next(batches)))
                log.follow(step, figures)
                stop = preemption.reached(step)
                if is_due(step, config.checkpoint_every) or step == config.steps or stop:
                    log.catch_up()
                    host_state = parallel.unreplicate(state)
                    accuracy = None
                    if not stop:
                        figures = validate(state.best_params)
                        accuracy = figures["validation_accuracy"]
                        writer.write(step, figures)
                        _warn_of_collapse(step, figures["score_spread"])
                    saver.save(
                        host_state,
                        config=json.loads(config.to_json()),
                        preprocessing=validation.preprocessing,
                        validation_accuracy=accuracy,
                    )
                if stop and step < config.steps:
                    _say(f"{workdir}: stopped by SIGTERM and saved at step {step}; the same command goes on from here")
                    return False
    finally:
        writer.close()
        saver.close()
    return True


class _Log:
    """Reads the figures of the step before the one just dispatched, so that the devices never wait for the host."""

    def __init__(self, config, writer, saver):
        self._config, self._writer, self._saver = config, writer, saver
        self._pending, self._window = None, []

    def follow(self, step, figures):
        self.catch_up()
        self._pending = (step, figures)

    def catch_up(self):
        if self._pending is None:
            return
        (step, figures), self._pending = self._pending, None
        figures = {name: float(value) for name, value in parallel.unreplicate(figures).items()}
        if not (math.isfinite(figures["loss"]) and math.isfinite(figures["gradient_norm"])):
            raise FloatingPointError(
                f"step {step}: the loss is {figures['loss']} and its gradient's norm {figures['gradient_norm']};"
                f" training stops and the last good checkpoint (step {self._saver.latest_step}) is kept. Lower"
                " config.optimizer.learning_rate or config.optimizer.clip_norm and train in another --workdir"
            )
        self._window.append(figures)
        self._writer.advance(step)
        if is_due(step, self._config.log_every) or step == self._config.steps:
            means = {name: float(np.mean([row[name] for row in self._window])) for name in figures}
            self._writer.write(step, means)
            self._window = []


class _Preemption:
    """Notices that the machine is to be taken away (SIGTERM), on all processes at the same step."""

    def __enter__(self):
        self._asked = False
        self._alone = jax.process_count() == 1
        if self._alone:
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *_):
        if self._alone:
            signal.signal(signal.SIGTERM, self._before)

    def _ask(self, *_):
        self._asked = True

    def reached(self, step):
        # Several processes must agree on the step; JAX's coordinator, which catches the signal there, sees to it.
        return self._asked if self._alone else multihost_utils.reached_preemption_sync_point(step)


def check(config: ml_collections.ConfigDict) -> None:
    """Raises ValueError, naming the field, for a config that cannot work."""
    for field in ("steps", "log_every", "checkpoint_every", "keep"):
        if config[field] < 1:
            raise ValueError(f"config.{field}={config[field]} must be at least 1")
    parallel.check_batch_size(config.batch.labeled, "batch.labeled")
    parallel.check_batch_size(config.evaluation.batch_size, "evaluation.batch_size")
    if step_lib.uses_unlabeled(config):
        parallel.check_batch_size(config.batch.unlabeled, "batch.unlabeled")
    if config.model.linear_probe < 0:
        raise ValueError(f"config.model.linear_probe={config.model.linear_probe} must be 0 (off) or above")
    if not 0 <= config.ema_decay < 1:
        raise ValueError(f"config.ema_decay={config.ema_decay} must be in [0, 1)")
    if config.consistency.teacher not in ("student", "ema"):
        raise ValueError(f"config.consistency.teacher={config.consistency.teacher!r} must be 'student' or 'ema'")
    if config.consistency.teacher == "ema" and not config.ema_decay:
        raise ValueError("config.consistency.teacher='ema' needs config.ema_decay above 0, e.g. 0.99")


def claim(config: ml_collections.ConfigDict, workdir: str) -> None:
    """Makes `workdir` the run directory of `config`; raises ValueError when it is another's already."""
    if not writers.is_main_process():
        return
    os.makedirs(workdir, exist_ok=True)
    path = os.path.join(workdir, CONFIG_FILE)
    wanted = json.loads(config.to_json())
    if not os.path.exists(path):
        writers.write_atomically(path, json.dumps(wanted, indent=2) + "\n")
        return
    with open(path, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: damaged ({error}); move the folder away or give another --workdir") from error
    found, wanted = _flatten(found), _flatten(wanted)
    fields = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    fields = [name for name in fields if name not in _LOCATIONS]
    if fields:
        listed = "; ".join(
            f"config.{name} is {found.get(name)!r} there, {wanted.get(name)!r} here" for name in fields[:8]
        )
        raise ValueError(
            f"{workdir} holds the run of another config ({listed}); give another --workdir or the same config"
        )


def _flatten(fields, prefix=""):
    flat = {}
    for name, value in fields.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _open_parts(config):
    """The training splits with their global batch sizes; unlabeled data only where a loss asks for them."""
    options = config.data
    labeled = data.open_split(
        options,
        "labeled",
        options.labeled_split,
        count=options.labeled_count,
        seed=config.seed,
        leave_out=options.leave_out,
    )
    parts = {"labeled": (labeled, config.batch.labeled)}
    if step_lib.uses_unlabeled(config):
        unlabeled = data.open_split(options, "unlabeled", "train", leave_out=options.leave_out)
        parts["unlabeled"] = (unlabeled, config.batch.unlabeled)
    return parts


def _restore_or_init(config, model, tx, saver, labeled):
    """The newest saved state, or the first one; NumPy arrays."""
    size = config.data.image_size
    key = step_lib.stream_key(config.seed, 0, step_lib.STREAM_INIT)
    params = jax.device_get(jax.jit(model.init)(key, jnp.zeros((1, size, size, 3)))["params"])
    fresh = saver.latest_step is None
    if fresh and config.model.pretrained:
        params = pretrained.load(config.model.backbone, params)
    if fresh and config.model.linear_probe:
        map_images = evaluate.make_map_images(
            lambda params, images: model.apply({"params": params}, images, method="features"),
            batch_size=config.evaluation.batch_size,
            progress="linear probe",
        )
        features_of = functools.partial(map_images, parallel.replicate(params))
        _, *labels = data.unique_faces(labeled.examples)
        params = probe.fit_head(params, features_of, *labels, strength=config.model.linear_probe)
    state = jax.device_get(train_state.create(params, tx, ema=config.ema_decay > 0))
    return state if fresh else saver.restore(state)


def _make_validate(config, model, validation):
    """Returns a function from replicated parameters to figures on the labeled validation pairs.

    Used as if they were unlabeled, these pairs tell what pseudo-orders are worth: the share of pairs that would pass
    the gate, and the share of those whose order is right; and the spread of scores tells a collapse.
    """
    examples = [example for example in validation.examples if example["order"]]
    images = np.stack([example[side] for side in ("left", "right") for example in examples])
    orders = np.array([example["order"] for example in examples])
    score_images = evaluate.make_score_images(model, batch_size=config.evaluation.batch_size)

    def validate(params):
        scores = score_images(params, images)
        left, right = scores.reshape(2, -1)
        right_order = metrics.in_order(left, right, orders)
        trusted = np.abs(right - left) >= config.consistency.gate
        return {
            "validation_accuracy": float(np.mean(right_order)),
            "pseudo_order_share": float(np.mean(trusted)),
            "pseudo_order_accuracy": float(np.mean(right_order[trusted])) if trusted.any() else 0.5,
            "score_spread": float(np.std(scores)),
        }

    return validate


def _warn_of_collapse(step, spread):
    if spread < COLLAPSED:
        _say(
            f"step {step}: the scores have collapsed: their standard deviation over the validation images is"
            f" {spread:.1g}. Lower config.consistency's weights, or raise config.ranking.margin"
        )


def _say(text):
    if writers.is_main_process():
        print(text, flush=True)
