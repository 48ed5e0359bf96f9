import jax
import jax.numpy as jnp
import numpy as np
import pytest

from blur_jax.train import optimizer
from configs import default


@pytest.fixture
def options():
    options = default.get_config().optimizer
    options.learning_rate, options.warmup_steps, options.clip_norm, options.weight_decay = 0.8, 3, None, 0.0
    return options


def test_the_schedule_by_hand(options):
    # Warm-up over 3 steps: 1/4, 2/4, 3/4 of the peak; then 8 steps of decay from the peak; cos(pi / 2) half way.
    rate = optimizer.learning_rate(options, 11)
    for step, value in {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 7: 0.4, 11: 0.0}.items():
        np.testing.assert_allclose(rate(step), value, atol=1e-6, err_msg=f"step {step}")


def test_no_warm_up_starts_at_the_peak(options):
    options.warmup_steps = 0
    np.testing.assert_allclose(optimizer.learning_rate(options, 10)(0), 0.8, atol=1e-6)


@pytest.mark.parametrize("steps", [10, -1])
def test_a_warm_up_that_does_not_fit_is_named(options, steps):
    options.warmup_steps = steps
    with pytest.raises(ValueError, match=rf"config\.optimizer\.warmup_steps={steps} "):
        optimizer.build(options, 10)


def update(options, params, gradients):
    tx = optimizer.build(options, 10)
    updates, _ = tx.update(gradients, tx.init(params), params)
    return updates


def test_first_step_of_adam_has_the_size_of_the_learning_rate(options):
    options.warmup_steps = 0
    updates = update(options, {"kernel": jnp.ones((1, 2))}, {"kernel": jnp.array([[3.0, -0.01]])})
    # g / (|g| + epsilon): the smaller gradient loses a ten-thousandth to epsilon = 1e-6.
    np.testing.assert_allclose(updates["kernel"], [[-0.8, 0.8 * 0.01 / (0.01 + 1e-6)]], rtol=2e-5)


def test_weight_decay_spares_biases(options):
    options.warmup_steps, options.weight_decay = 0, 0.5
    params = {"kernel": jnp.full((1, 1), 2.0), "bias": jnp.full((1,), 2.0)}
    updates = update(options, params, {"kernel": jnp.zeros((1, 1)), "bias": jnp.zeros((1,))})
    np.testing.assert_allclose(updates["kernel"], [[-0.8 * 0.5 * 2.0]], rtol=1e-6)
    np.testing.assert_array_equal(updates["bias"], [0.0])


def test_clipping_bounds_the_global_norm(options):
    options.clip_norm = 1.0
    tx_clip = optimizer.build(options, 10)
    gradients = {"a": jnp.array([[3.0]]), "b": jnp.array([[4.0]])}  # norm 5
    state = tx_clip.init(gradients)
    _, state = tx_clip.update(gradients, state, gradients)
    first_moments = [leaf for leaf in jax.tree.leaves(state) if leaf.shape == (1, 1)][:2]
    # Adam's first moment after one step is (1 - 0.9) times the clipped gradient: 0.1 * (0.6, 0.8).
    np.testing.assert_allclose(np.ravel(first_moments), [0.06, 0.08], rtol=1e-5)
