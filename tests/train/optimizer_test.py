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


@pytest.mark.parametrize(("warmup", "steps", "taken"), [(20, 21, 20), (20, 20, 10), (100, 7, 3), (1, 1, 0), (0, 1, 0)])
def test_a_warm_up_that_does_not_end_before_the_run_takes_half_of_it(warmup, steps, taken):
    assert optimizer.fitted_warmup(warmup, steps) == taken


def test_the_schedule_of_a_run_shorter_than_its_warm_up_by_hand(options):
    # Of 8 steps 4 are warm-up: 1/5 to 4/5 of the peak; then 4 steps of decay; cos(pi / 2) half way.
    options.warmup_steps = 100
    rate = optimizer.learning_rate(options, 8)
    for step, value in {0: 0.16, 1: 0.32, 2: 0.48, 3: 0.64, 4: 0.8, 6: 0.4, 8: 0.0}.items():
        np.testing.assert_allclose(rate(step), value, atol=1e-6, err_msg=f"step {step}")


@pytest.mark.parametrize(
    ("steps", "quadruplet_weight", "shortened"),
    [
        (101, 1.0, ""),
        (100, 1.0, "config.consistency.warmup_steps=100"),
        (20, 1.0, "config.optimizer.warmup_steps=20, config.consistency.warmup_steps=100"),
        (21, 0.0, ""),
        (0, 1.0, ""),
    ],
)
def test_a_shortened_warm_up_is_said_in_one_line(capsys, steps, quadruplet_weight, shortened):
    config = default.get_config()
    config.steps, config.consistency.quadruplet_weight = steps, quadruplet_weight
    optimizer.warn_of_short_run(config)
    line = f"the warm-up ({shortened}) does not fit in a run of {steps} steps; it is shortened to {steps // 2} steps"
    assert capsys.readouterr().out == (f"{line}\n" if shortened else "")


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
