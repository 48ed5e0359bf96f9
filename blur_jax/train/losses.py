"""Margin ranking and ranking consistency, the losses of arXiv 2207.06085, and distillation of pair probabilities.

Scores are float [batch], in [0, 1]; larger means blurrier. Every loss is a pure function of scores, takes keyword
arguments only and returns one value per pair, float [batch], 0 or more; `mean` reduces last. `margin` is the difference
of scores, in [0, 1], at which a loss becomes 0. `where`, bool [batch], marks the pairs that count (None: all); any
other pair gives exactly 0 and passes no gradient, whatever its scores hold (padding, NaN).
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

    `order` is integer or float [batch]: +1 the right image is blurrier, -1 the left, 0 a tie, whose scores may differ
    by `tie_margin`, in [0, 1]. Values are at most 1 + margin.
    """
    left, right = _mask(where, left, right)
    difference = left - right
    ordered = jax.nn.relu(difference * order + margin)
    tied = jax.nn.relu(jnp.abs(difference) - tie_margin)
    return _keep(where, jnp.where(order == 0, tied, ordered))


def pseudo_label(*, left: jax.Array, right: jax.Array, confidence_threshold: float = 0.0) -> jax.Array:
    """Returns the network's order of unlabeled pairs, float [batch]; a sign, so no gradient flows through it.

    +1 the right image scores as blurrier, -1 the left, 0 the pair does not count: its scores tie, or differ by less
    than `confidence_threshold`.
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

    The same degradation applied to both images of a pair must keep their order. The network's own order of the
    clean pair is the pseudo-label of the degraded one:

    .. math::
        \max(0, (s'_{left} - s'_{right}) \cdot \mathrm{sign}(s_{right} - s_{left}) + margin)

    with :math:`s` the clean and :math:`s'` the degraded scores. The label is a sign: no gradient passes through the
    clean scores. A pair whose clean scores tie or differ by less than `confidence_threshold` costs nothing. Values are
    at most 1 + margin.
    """
    clean_left, clean_right = _mask(where, clean_left, clean_right)
    order = pseudo_label(left=clean_left, right=clean_right, confidence_threshold=confidence_threshold)
    loss = margin_ranking(left=degraded_left, right=degraded_right, order=order, margin=margin, where=where)
    return jnp.where(order == 0, 0.0, loss)


def pairwise_consistency(
    *, clean: jax.Array, degraded: jax.Array, margin: float, where: jax.Array | None = None
) -> jax.Array:
    r"""Pairwise ranking consistency: a degraded copy must outscore its own original (the paper's simpler baseline).

    .. math:: \max(0, s - s' + margin)

    with :math:`s` the clean and :math:`s'` the degraded scores of images; gradient flows through both. Values are at
    most 1 + margin.
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

    With :math:`p = \sigma((l_{right} - l_{left}) / temperature)` of the teacher's and :math:`q` of the scorer's own
    scores (maybe of other views of the images), :math:`l` being the logit of a score:

    .. math:: -|2p - 1| \, (p \log q + (1 - p) \log(1 - q))

    The cross-entropy is RankNet's with soft targets (Burges et al., ICML 2005, section 3). The weight leaves out pairs
    that the teacher cannot tell apart, and needs no confidence threshold. No gradient passes through the teacher.
    `temperature`, above 0, is the difference of logits at which an order has a probability of 0.73.
    """
    teacher_left, teacher_right, left, right = _mask(where, teacher_left, teacher_right, left, right)
    target = jax.lax.stop_gradient(jax.nn.sigmoid((_logit(teacher_right) - _logit(teacher_left)) / temperature))
    difference = (_logit(right) - _logit(left)) / temperature
    cross_entropy = target * jax.nn.softplus(-difference) + (1 - target) * jax.nn.softplus(difference)
    return _keep(where, jnp.abs(2 * target - 1) * cross_entropy)


def mean(values: jax.Array, *, where: jax.Array | None = None) -> jax.Array:
    """Returns the mean of `values`, float [batch], over the entries that count; 0, with gradient 0, if none does."""
    count = values.size if where is None else jnp.sum(where)
    return jnp.sum(_keep(where, values)) / jnp.maximum(count, 1)


def _logit(scores: jax.Array) -> jax.Array:
    """Returns logits of scores in [0, 1], bounded where they saturate."""
    return jax.scipy.special.logit(jnp.clip(scores, 1e-6, 1 - 1e-6))


def _mask(where: jax.Array | None, *scores: jax.Array) -> tuple[jax.Array, ...]:
    """Replaces scores that do not count with 0 before any arithmetic, so that a NaN cannot reach a gradient."""
    return scores if where is None else tuple(jnp.where(where, score, 0.0) for score in scores)


def _keep(where: jax.Array | None, values: jax.Array) -> jax.Array:
    return values if where is None else jnp.where(where, values, 0.0)
