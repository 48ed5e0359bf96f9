"""The losses of blur_jax/train/losses.py in PyTorch: float [pairs] -> float [pairs]."""

import torch
from torch.nn import functional


def margin_ranking(
    left: torch.Tensor, right: torch.Tensor, order: torch.Tensor, *, margin: float, tie_margin: float
) -> torch.Tensor:
    """See `blur_jax.train.losses.margin_ranking`."""
    difference = left - right
    tied = functional.relu(difference.abs() - tie_margin)
    return torch.where(order == 0, tied, functional.relu(difference * order + margin))


def quadruplet_consistency(
    clean: torch.Tensor, degraded: torch.Tensor, *, margin: float, confidence_threshold: float
) -> torch.Tensor:
    """See `blur_jax.train.losses.quadruplet_consistency`; both float [pairs, 2]."""
    difference = (clean[:, 1] - clean[:, 0]).detach()
    order = difference.sign() * (difference.abs() >= confidence_threshold)
    loss = functional.relu((degraded[:, 0] - degraded[:, 1]) * order + margin)
    return torch.where(order == 0, 0.0, loss)


def pair_distillation(teacher: torch.Tensor, scores: torch.Tensor, *, group: int, temperature: float) -> torch.Tensor:
    """See `blur_jax.train.losses.pair_distillation`; both float [pairs, 2]."""
    first, second = torch.triu_indices(2 * group, 2 * group, offset=1, device=scores.device)
    teacher, logits = (values.logit(eps=1e-6).reshape(-1, 2 * group) for values in (teacher.detach(), scores))
    target = ((teacher[:, second] - teacher[:, first]) / temperature).sigmoid()
    difference = (logits[:, second] - logits[:, first]) / temperature
    cross_entropy = functional.binary_cross_entropy_with_logits(difference, target, reduction="none")
    return ((2 * target - 1).abs() * cross_entropy).flatten()
