import jax
import jax.numpy as jnp
import numpy as np
import pytest

from blur_jax.train import losses

NAN = float("nan")


def array(*values):
    return jnp.array(values, jnp.float32)


def test_margin_ranking_by_hand():
    # (0.2 - 0.7) * 1 + 0.1 = -0.4 -> 0; (0.7 - 0.2) + 0.1 = 0.6; (0.7 - 0.2) * -1 + 0.1 -> 0; (0.2 - 0.7) * -1 + 0.1
    # = 0.6 (0.45 - 0.5) + 0.1 = 0.05: the right order by less than the margin.
    loss = losses.margin_ranking(
        left=array(0.2, 0.7, 0.7, 0.2, 0.45),
        right=array(0.7, 0.2, 0.2, 0.7, 0.5),
        order=array(1, 1, -1, -1, 1),
        margin=0.1,
    )
    np.testing.assert_allclose(loss, [0.0, 0.6, 0.0, 0.6, 0.05], atol=1e-6)


def test_ties_cost_what_exceeds_the_tie_margin():
    # |0.5 - 0.8| - 0.1 = 0.2; |0.8 - 0.5| - 0.1 = 0.2; |0.5 - 0.55| - 0.1 < 0
    loss = losses.margin_ranking(
        left=array(0.5, 0.8, 0.5), right=array(0.8, 0.5, 0.55), order=array(0, 0, 0), margin=0.3, tie_margin=0.1
    )
    np.testing.assert_allclose(loss, [0.2, 0.2, 0.0], atol=1e-6)


def test_margin_ranking_gradient_by_hand():
    def total(left, right, order):
        return losses.margin_ranking(left=left, right=right, order=order, margin=0.1).sum()

    # Violated, right blurrier: left must fall, right must rise. Satisfied: nothing.
    left, right = jax.grad(total, argnums=(0, 1))(array(0.7, 0.1), array(0.2, 0.9), array(1, 1))
    np.testing.assert_array_equal(left, [1.0, 0.0])
    np.testing.assert_array_equal(right, [-1.0, 0.0])


def test_gradient_of_an_exact_tie_is_finite():
    gradient = jax.grad(lambda s: losses.margin_ranking(left=s, right=s * 1.0, order=array(0), margin=0.1).sum())
    np.testing.assert_array_equal(gradient(array(0.5)), [0.0])


def test_pseudo_label_and_confidence_threshold_by_hand():
    left, right = array(0.2, 0.9, 0.5, 0.5), array(0.8, 0.1, 0.55, 0.5)
    np.testing.assert_array_equal(losses.pseudo_label(left=left, right=right), [1, -1, 1, 0])
    found = losses.pseudo_label(left=left, right=right, confidence_threshold=0.1)
    np.testing.assert_array_equal(found, [1, -1, 0, 0])


def test_quadruplet_consistency_by_hand():
    # Clean orders +1, -1, +1, tie. Degraded: kept by 0.1 against margin 0.2 -> 0.1; reversed by 0.3 -> 0.5;
    # kept by 0.5 -> 0; a clean tie costs nothing whatever happens.
    loss = losses.quadruplet_consistency(
        clean_left=array(0.1, 0.9, 0.2, 0.5),
        clean_right=array(0.6, 0.2, 0.3, 0.5),
        degraded_left=array(0.5, 0.4, 0.2, 0.9),
        degraded_right=array(0.6, 0.7, 0.7, 0.1),
        margin=0.2,
    )
    np.testing.assert_allclose(loss, [0.1, 0.5, 0.0, 0.0], atol=1e-6)


def test_the_gradient_by_hand_is_that_of_a_hard_label():
    def total(clean_left, clean_right, degraded_left, degraded_right):
        return losses.quadruplet_consistency(
            clean_left=clean_left,
            clean_right=clean_right,
            degraded_left=degraded_left,
            degraded_right=degraded_right,
            margin=0.2,
        ).sum()

    # A clean difference of 0.5 is the label 1: a soft label would halve the degraded pair's gradient, and give the
    # clean pair one of 0.5, the degraded difference.
    gradients = jax.grad(total, argnums=(0, 1, 2, 3))(array(0.1), array(0.6), array(0.9), array(0.4))
    np.testing.assert_array_equal(jnp.concatenate(gradients), [0.0, 0.0, 1.0, -1.0])


def test_pairwise_consistency_by_hand():
    # 0.5 - 0.7 + 0.1 < 0; 0.5 - 0.55 + 0.1 = 0.05; 0.8 - 0.3 + 0.1 = 0.6; both sides get gradient.
    clean, degraded = array(0.5, 0.5, 0.8), array(0.7, 0.55, 0.3)
    np.testing.assert_allclose(
        losses.pairwise_consistency(clean=clean, degraded=degraded, margin=0.1), [0.0, 0.05, 0.6], atol=1e-6
    )
    total = lambda c, d: losses.pairwise_consistency(clean=c, degraded=d, margin=0.1).sum()  # noqa: E731
    by_clean, by_degraded = jax.grad(total, argnums=(0, 1))(clean, degraded)
    np.testing.assert_array_equal(by_clean, [0, 1, 1])
    np.testing.assert_array_equal(by_degraded, [0, -1, -1])


def test_distillation_by_hand():
    # Logits: teacher 0 and log 3 (scores 0.5 and 0.75), so at temperature 1 p = 3 / 4 and the weight is 1 / 2. Scorer
    # log 3 and 0: q = 1 / 4. -(3/4 log 1/4 + 1/4 log 3/4) / 2 = 0.55582. At temperature 0.5 differences double: p =
    # 9 / 10, weight 8 / 10, q = 1 / 10: -(9/10 log 1/10 + 1/10 log 9/10) * 8 / 10 = 1.66629.
    scores = {"teacher_left": array(0.5), "teacher_right": array(0.75), "left": array(0.75), "right": array(0.5)}
    np.testing.assert_allclose(losses.pair_distillation(**scores, temperature=1.0), [0.55582], atol=1e-5)
    np.testing.assert_allclose(losses.pair_distillation(**scores, temperature=0.5), [1.66629], atol=1e-5)


def test_distillation_leaves_out_what_the_teacher_cannot_tell_and_bounds_what_saturates():
    loss = losses.pair_distillation(
        teacher_left=array(0.6, 0.0), teacher_right=array(0.6, 1.0), left=array(0.1, 0.0), right=array(0.9, 1.0),
        temperature=1.0,
    )  # fmt: skip
    np.testing.assert_allclose(loss, [0.0, 0.0], atol=1e-6)
    # Logits are bounded at log((1 - 1e-6) / 1e-6) = 13.8155: the wrong way around costs twice that.
    loss = losses.pair_distillation(
        teacher_left=array(0.0), teacher_right=array(1.0), left=array(1.0), right=array(0.0), temperature=1.0
    )
    np.testing.assert_allclose(loss, [27.631], atol=2e-2)


def test_the_gradient_of_distillation_by_hand():
    def total(teacher_left, teacher_right, left, right):
        return losses.pair_distillation(
            teacher_left=teacher_left, teacher_right=teacher_right, left=left, right=right, temperature=1.0
        ).sum()

    gradients = jax.grad(total, argnums=(0, 1, 2, 3))(array(0.5), array(0.75), array(0.5), array(0.5))
    # By the difference of logits it is weight * (q - p) = 0.5 * (0.5 - 0.75) = -0.125; a logit has the slope
    # 1 / (s (1 - s)) = 4. The teacher gets none.
    np.testing.assert_allclose(jnp.concatenate(gradients), [0.0, 0.0, 0.5, -0.5], atol=1e-6)


def masked_losses(scores, where):
    """All losses of scores [2], each as a function of the same numbers."""
    order = array(1, 1)
    return {
        "ranking": losses.margin_ranking(left=scores, right=scores - 0.3, order=order, margin=0.1, where=where),
        "tie": losses.margin_ranking(left=scores, right=scores - 0.3, order=order * 0, margin=0.1, where=where),
        "quadruplet": losses.quadruplet_consistency(
            clean_left=scores - 1,
            clean_right=scores,
            degraded_left=scores,
            degraded_right=scores - 0.3,
            margin=0.1,
            where=where,
        ),
        "pairwise": losses.pairwise_consistency(clean=scores, degraded=scores * 0.5, margin=0.1, where=where),
        "distillation": losses.pair_distillation(
            teacher_left=scores * 0.5,
            teacher_right=scores,
            left=scores,
            right=scores * 0.5,
            temperature=0.5,
            where=where,
        ),
    }


@pytest.mark.parametrize("name", ["ranking", "tie", "quadruplet", "pairwise", "distillation"])
def test_masked_pairs_cost_nothing_even_when_they_hold_nan(name):
    where = jnp.array([True, False])
    full = masked_losses(array(0.8, 0.8), None)[name]
    masked = masked_losses(array(0.8, NAN), where)[name]
    assert full[0] > 0
    np.testing.assert_array_equal(masked, [full[0], 0.0])
    gradient = jax.grad(lambda s: masked_losses(s, where)[name].sum())(array(0.8, NAN))
    assert np.isfinite(gradient).all()
    assert gradient[1] == 0


@pytest.mark.parametrize("name", ["ranking", "tie", "quadruplet", "pairwise", "distillation"])
def test_an_all_masked_batch_is_zero_with_zero_gradient(name):
    where = jnp.zeros(2, bool)
    value, gradient = jax.value_and_grad(lambda s: losses.mean(masked_losses(s, where)[name], where=where))(
        array(NAN, 0.3)
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, [0.0, 0.0])


def test_mean_by_hand():
    assert losses.mean(array(1, 2, 6)) == 3
    assert losses.mean(array(1, 2, NAN), where=jnp.array([True, True, False])) == 1.5
