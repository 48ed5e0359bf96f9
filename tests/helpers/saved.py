"""Checkpoints of a made-up state."""

import os

import jax
import numpy as np
import optax

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.runs import checkpoints
from blur_jax.train import state as train_state

PROTOCOL = Preprocessing(image_size=48, context=1.25)
CONFIG = {"seed": 3, "model": {"backbone": "small", "blocks": None}, "families": ["a", "b"]}


def state_of(step, *, ema=True, width=3):
    params = {"layer": {"kernel": np.full((2, width), step, np.float32), "bias": np.arange(width, dtype=np.float32)}}
    state = train_state.create(params, optax.adamw(optax.cosine_decay_schedule(1.0, 10)), ema=ema)
    if ema:
        state = state.replace(ema_params=jax.tree.map(lambda x: x + 0.5, params))
    return jax.device_get(state.replace(step=np.int32(step)))


def write(folder, accuracies, *, keep=2, ema=True, **validation):
    saver = checkpoints.CheckpointWriter(str(folder), keep=keep)
    for step, accuracy in accuracies.items():
        save(saver, state_of(step, ema=ema), accuracy, **validation)
    saver.close()
    return sorted(int(name) for name in os.listdir(folder / "checkpoints") if name.isdigit())


def save(saver, state, accuracy=0.9, *, pairs=60, calibration=None):
    """Saves a state that was validated."""
    saver.save(
        int(state.step),
        state.arrays(),
        config=CONFIG,
        preprocessing=PROTOCOL,
        validation_accuracy=accuracy,
        validation_pairs=pairs,
        calibration=calibration,
    )


def restore(folder, step, template):
    """Returns the state that was saved; raises as `checkpoints.restore`."""
    return template.at(step, checkpoints.restore(folder, step, template.arrays())[0])


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right)):
        np.testing.assert_array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
