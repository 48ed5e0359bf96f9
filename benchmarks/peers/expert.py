"""The training step as an expert would write it in PyTorch: on whole batches, with one forward pass for gradients."""

import copy
from typing import Any, NamedTuple

import ml_collections
import numpy as np
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.peers import networks, views
from blur_jax.data.batches import Batch
from blur_jax.models import network as models
from blur_jax.train import optimizer


class Scores(NamedTuple):
    """Scores of n labeled and m unlabeled pairs, float32 [n, 2] or [m, 2]; None if no loss uses them."""

    labeled: torch.Tensor
    degraded: torch.Tensor | None = None
    clean: torch.Tensor | None = None
    teacher: torch.Tensor | None = None


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


def loss_of(scores: Scores, order: torch.Tensor, ramp: float, config: ml_collections.ConfigDict) -> torch.Tensor:
    """Returns the loss of `blur_jax.train.step.losses_of`; `order` is float32 [n], `ramp` in [0, 1]."""
    ranking, weights = config.ranking, config.consistency
    loss = (
        ranking.weight
        * margin_ranking(*scores.labeled.T, order, margin=ranking.margin, tie_margin=ranking.tie_margin).mean()
    )
    if scores.clean is not None and scores.degraded is not None:
        quadruplet = quadruplet_consistency(
            scores.clean, scores.degraded, margin=weights.margin, confidence_threshold=weights.confidence_threshold
        )
        loss = loss + ramp * weights.quadruplet_weight * quadruplet.mean()
    if scores.teacher is not None and scores.degraded is not None:
        distillation = pair_distillation(
            scores.teacher, scores.degraded, group=weights.pairs_per_degradation, temperature=weights.temperature
        )
        loss = loss + ramp * weights.distillation_weight * distillation.mean()
    return loss


class Trainer:
    """The network, optimizer and moving average of a run that starts from Flax parameters."""

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        params: dict[str, Any],
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
        *,
        is_compiled: bool = False,
    ) -> None:
        if config.consistency.pairwise_weight > 0:
            raise ValueError(
                "benchmarks.peers does not implement pairwise consistency; set config.consistency.pairwise_weight=0"
            )
        self.config, self.device, self.memory_format = config, device, memory_format
        network = networks.from_flax(models.from_config(config.model), params)
        self.network = network.to(device, memory_format=memory_format)  # ty: ignore[no-matching-overload]
        _, frozen = models.partition(params, config.model.frozen_blocks)
        for name in networks.state_dict(frozen):
            self.network.get_parameter(name).requires_grad_(False)
        self.teacher = copy.deepcopy(self.network) if config.consistency.distillation_weight > 0 else None
        self.average = None
        if config.ema_decay is not None:
            self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
            self.average.n_averaged.fill_(1)  # At 0, the first update would overwrite the average.
        self.optimizer = build_optimizer(self.network, config.optimizer)
        rate, peak = optimizer.learning_rate(config.optimizer, config.steps), config.optimizer.learning_rate
        rates = np.asarray([rate(step) for step in range(config.steps + 1)]) / peak
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: rates[step])
        self.step = 0
        compiled = torch.compile if is_compiled else lambda network: network
        self.score, self.teacher_score = compiled(self.network), self.teacher and compiled(self.teacher)

    def update(self, batch: Batch, *, changes: bool = True) -> torch.Tensor:
        """Updates on a batch of NumPy arrays and returns the loss; with `changes`, augments and degrades the images."""
        config, weights = self.config, self.config.consistency
        order = torch.from_numpy(batch.order).to(self.device, torch.float32)
        labeled, degraded, clean, teacher = self._images(batch.labeled), None, None, None
        if changes:
            labeled = views.add_noise(config.augment, *views.expose(config.augment, labeled))
        if batch.unlabeled is not None:
            original = noisy = degraded = self._images(batch.unlabeled)
            shared = 2 * weights.pairs_per_degradation if weights.share_degradation else 1
            if changes:
                if weights.quadruplet_weight > 0 or not weights.teach_degraded:
                    noisy = views.add_noise(config.augment, original)
                if weights.teach_degraded:
                    original = degraded = views.degrade(original, config.degradation, shared)
                else:
                    degraded = views.degrade(noisy, config.degradation, shared)
            versions = [degraded, noisy] if weights.quadruplet_weight > 0 else [degraded]
            if changes:
                versions = views.expose(config.augment, *versions)
            degraded = versions[0]
            if changes and weights.teach_degraded:
                degraded = views.add_noise(config.augment, degraded)
            if weights.quadruplet_weight > 0:
                clean = self.scores_without_gradient(self.score, versions[1])
            if self.teacher_score is not None:
                teacher = self.scores_without_gradient(self.teacher_score, original)
        with self.autocast():
            images = labeled if degraded is None else torch.cat([labeled, degraded])
            pairs = self.score(images.contiguous(memory_format=self.memory_format)).unflatten(0, (-1, 2))
        unlabeled = None if degraded is None else pairs[len(order) :]
        scores = Scores(pairs[: len(order)], unlabeled, clean, teacher)
        return self.descend(loss_of(scores, order, self.ramp(), config))

    def ramp(self) -> float:
        """Returns the weight of the losses on unlabeled pairs at this step."""
        return min(1.0, (self.step + 1) / max(1, self.config.consistency.warmup_steps))

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.model.dtype == "bfloat16")

    def descend(self, loss: torch.Tensor) -> torch.Tensor:
        """Updates the parameters with the gradient of the loss, and returns the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.config.optimizer.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimizer.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.step += 1
        return loss.detach()

    @torch.no_grad()
    def scores_without_gradient(self, score: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Scores images [2n, 3, S, S] with `self.score` or `self.teacher_score`; returns float32 [n, 2]."""
        with self.autocast():
            return score(images).unflatten(0, (-1, 2))

    def _images(self, pairs: np.ndarray) -> torch.Tensor:
        """Converts uint8 [n, 2, S, S, 3] to float32 [2n, 3, S, S] in [0, 1]."""
        images = torch.from_numpy(pairs).to(self.device, non_blocking=True).flatten(0, 1).permute(0, 3, 1, 2)
        return images.to(torch.float32, memory_format=self.memory_format).div_(255)


def build_optimizer(network: torch.nn.Module, config: ml_collections.ConfigDict) -> torch.optim.AdamW:
    """Returns the same AdamW as `blur_jax.train.optimizer.build`, without clipping; `config` is `config.optimizer`."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, eps=1e-6, fused=True)
