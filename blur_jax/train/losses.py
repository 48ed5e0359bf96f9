"""Margin ranking and ranking consistency, the losses of arXiv 2207.06085, and distillation of pair probabilities.

Scores are in [0, 1]; larger means blurrier. Every loss is a pure function of scores, takes only keyword arguments and
returns one value per pair; `mean` averages them. `where` marks the pairs that count; any other pair has a loss of
exactly 0 and passes no gradient, even if its scores are padding or NaN.
"""

import jax
import jax.numpy as jnp


def margin_ranking(
    *,
    left: jax.Array,
    right: jax.Array,
    order: jax.Array,
    margin: float,
    tie_margin: float = 0.0,
    where: jax.Array | None = None,
) -> jax.Array:
    r"""Margin ranking loss of labeled pairs (section 2 of the paper; ties are this project's extension).

    .. math::
        \max(0, (s_{left} - s_{right}) \cdot order + margin) \quad\text{if } order = \pm 1, \qquad
        \max(0, |s_{left} - s_{right}| - tie\_margin) \quad\text{if } order = 0

    Args:
        left: float [batch], scores of the left images.
        right: float [batch], scores of the right images.
        order: integer or float [batch]: +1 if the right image is blurrier, -1 if the left is, 0 for a tie.
        margin: the difference by which the blurrier image must outscore the other; in [0, 1].
        tie_margin: the largest score difference for which a tied pair has no loss; in [0, 1].
        where: bool [batch], the pairs that count; None means all.

    Returns:
        float [batch], in [0, 1 + margin] for scores in [0, 1].
    """
    left, right = _mask(where, left, right)
    difference = left - right
    ordered = jax.nn.relu(difference * order + margin)
    tied = jax.nn.relu(jnp.abs(difference) - tie_margin)
    return _keep(where, jnp.where(order == 0, tied, ordered))


def pseudo_label(*, left: jax.Array, right: jax.Array, confidence_threshold: float = 0.0) -> jax.Array:
    """Returns the network's own order of unlabeled pairs; no gradient flows through it, because it is a sign.

    Args:
        left: float [batch], scores of the left images.
        right: float [batch], scores of the right images.
        confidence_threshold: smallest score difference that counts; 0 excludes only exact ties.

    Returns:
        float [batch]: +1 if the right image is scored blurrier, -1 if the left is, 0 if the pair does not count.
    """
    difference = right - left
    return jnp.where(jnp.abs(difference) >= confidence_threshold, jnp.sign(difference), 0.0)


def quadruplet_consistency(
    *,
    clean_left: jax.Array,
    clean_right: jax.Array,
    degraded_left: jax.Array,
    degraded_right: jax.Array,
    margin: float,
    confidence_threshold: float = 0.0,
    where: jax.Array | None = None,
) -> jax.Array:
    r"""Quadruplet ranking consistency of unlabeled pairs (section 3 of the paper).

    Applying the same degradation to both images of a pair must not change their order. The network's own order of the
    clean pair is the pseudo-label of the degraded pair:

    .. math::
        \max(0, (s'_{left} - s'_{right}) \cdot \mathrm{sign}(s_{right} - s_{left}) + margin)

    with :math:`s` the clean and :math:`s'` the degraded scores. The label is a sign, so no gradient passes through
    the clean scores. A pair whose clean scores tie or differ by less than `confidence_threshold` has no loss.

    Args:
        clean_left: float [batch], scores of the clean left images.
        clean_right: float [batch], scores of the clean right images.
        degraded_left: float [batch], scores of the left images after their pair's shared degradation.
        degraded_right: float [batch], scores of the right images after the same degradation.
        margin: the difference by which the degraded scores must preserve the order; in [0, 1].
        confidence_threshold: see `pseudo_label`.
        where: bool [batch], the pairs that count; None means all.

    Returns:
        float [batch], in [0, 1 + margin] for scores in [0, 1].
    """
    clean_left, clean_right = _mask(where, clean_left, clean_right)
    order = pseudo_label(left=clean_left, right=clean_right, confidence_threshold=confidence_threshold)
    loss = margin_ranking(left=degraded_left, right=degraded_right, order=order, margin=margin, where=where)
    return jnp.where(order == 0, 0.0, loss)


def pairwise_consistency(
    *, clean: jax.Array, degraded: jax.Array, margin: float, where: jax.Array | None = None
) -> jax.Array:
    r"""Pairwise ranking consistency: a degraded copy must outscore its original (the paper's simpler baseline).

    .. math:: \max(0, s - s' + margin)

    Args:
        clean: float [batch], scores of the clean images; gradient flows through them.
        degraded: float [batch], scores of their degraded copies.
        margin: the difference by which the copy must outscore the original; in [0, 1].
        where: bool [batch], the images that count; None means all.

    Returns:
        float [batch], in [0, 1 + margin] for scores in [0, 1].
    """
    return margin_ranking(left=clean, right=degraded, order=jnp.ones_like(clean), margin=margin, where=where)


def pair_distillation(
    *,
    teacher_left: jax.Array,
    teacher_right: jax.Array,
    left: jax.Array,
    right: jax.Array,
    temperature: float,
    where: jax.Array | None = None,
) -> jax.Array:
    r"""Distillation of a teacher's pair probabilities: a soft pseudo-label, weighted by how sure the teacher is.

    Let :math:`p = \sigma((l_{right} - l_{left}) / temperature)` for the teacher's scores and :math:`q` the same for
    the scorer's own scores, where :math:`l` is the logit of a score:

    .. math:: -|2p - 1| \, (p \log q + (1 - p) \log(1 - q))

    The cross-entropy is RankNet's with soft targets (Burges et al., ICML 2005, section 3). The weight vanishes for
    pairs that the teacher cannot tell apart, so no confidence threshold is needed. No gradient passes through the
    teacher.

    Args:
        teacher_left: float [batch], the teacher's scores of the left images.
        teacher_right: float [batch], its scores of the right images.
        left: float [batch], scores of the left images, possibly of different views.
        right: float [batch], scores of the right images.
        temperature: logit difference at which an order has a probability of 0.73; above 0.
        where: bool [batch], the pairs that count; None means all.

    Returns:
        float [batch], 0 or more.
    """
    teacher_left, teacher_right, left, right = _mask(where, teacher_left, teacher_right, left, right)
    target = jax.lax.stop_gradient(jax.nn.sigmoid((_logit(teacher_right) - _logit(teacher_left)) / temperature))
    difference = (_logit(right) - _logit(left)) / temperature
    cross_entropy = target * jax.nn.softplus(-difference) + (1 - target) * jax.nn.softplus(difference)
    return _keep(where, jnp.abs(2 * target - 1) * cross_entropy)


def mean(values: jax.Array, *, where: jax.Array | None = None) -> jax.Array:
    """Returns the mean over the entries that count; 0, with gradient 0, if no entry counts.

    Args:
        values: float [batch].
        where: bool [batch]; None means all.
    """
    count = values.size if where is None else jnp.sum(where)
    return jnp.sum(_keep(where, values)) / jnp.maximum(count, 1)


def _logit(scores: jax.Array) -> jax.Array:
    """Returns logits of scores in [0, 1], bounded where the scores saturate."""
    return jax.scipy.special.logit(jnp.clip(scores, 1e-6, 1 - 1e-6))


def _mask(where: jax.Array | None, *scores: jax.Array) -> tuple[jax.Array, ...]:
    """Replaces scores that do not count with 0 before any arithmetic, so that a NaN cannot reach a gradient."""
    return scores if where is None else tuple(jnp.where(where, score, 0.0) for score in scores)


def _keep(where: jax.Array | None, values: jax.Array) -> jax.Array:
    return values if where is None else jnp.where(where, values, 0.0)
