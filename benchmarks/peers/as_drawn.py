"""The step as the paper's figure reads: each branch a forward pass of its own, pictures changed one by one by a loader.

A loader of the same process does the work in turn with training, as any must where there are no cores to spare.
"""

import ml_collections
import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers import expert
from blur_jax.data.batches import Batch
from blur_jax.runs.config import uses_unlabeled


class Pairs(Dataset):
    """Pairs with their changes: [original, augmented], or a third, degraded and augmented; float32 [2, 3, S, S] each.

    Args:
        pairs: uint8 [n, 2, S, S, 3].
        config: of the run.
        degraded: whether to blur, too.
        changes: False leaves the pictures as they are.
    """

    def __init__(
        self, pairs: np.ndarray, config: ml_collections.ConfigDict, *, degraded: bool, changes: bool = True
    ) -> None:
        self.pairs, self.config, self.degraded, self.changes = pairs, config, degraded, changes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        pictures = [picture.astype(np.float32) / 255 for picture in self.pairs[index]]
        if not self.changes:
            versions = [pictures] * (2 + self.degraded)
        else:
            options, group = self.config.augment, self.config.consistency.pairs_per_degradation
            rng = np.random.default_rng(index)
            noisy = [add_noise(picture, rng, options) for picture in pictures]
            versions = [pictures, self._exposed(noisy, index)]
            if self.degraded:
                blurred = [degrade(picture, index // group, self.config.degradation) for picture in noisy]
                versions.append(self._exposed(blurred, index))
        return [torch.from_numpy(np.stack(version).transpose(0, 3, 1, 2)) for version in versions]

    def _exposed(self, pictures: list[np.ndarray], seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [expose(picture, rng, self.config.augment) for picture in pictures]


def add_noise(picture: np.ndarray, rng: np.random.Generator, options: ml_collections.ConfigDict) -> np.ndarray:
    """Adds the noise of augmentation to a picture, float32 [S, S, 3] in [0, 1]; `options` is `config.augment`."""
    if options.noise:
        picture = picture + np.float32(rng.uniform(0, options.noise)) * rng.standard_normal(picture.shape, np.float32)
    return picture.clip(0, 1)


def expose(picture: np.ndarray, rng: np.random.Generator, options: ml_collections.ConfigDict) -> np.ndarray:
    """Augments such a picture but for noise."""
    if options.flip and rng.random() < 0.5:
        picture = picture[:, ::-1]
    gains = 1 + rng.uniform(-options.color, options.color, 3)
    picture = picture * (gains * 2 ** (rng.uniform(-options.exposure, options.exposure) / 2.2)).astype(np.float32)
    picture = picture + np.float32(rng.uniform(-options.contrast, options.contrast)) * (picture - picture.mean())
    return picture.clip(0, 1)


def degrade(picture: np.ndarray, seed: int, options: ml_collections.ConfigDict) -> np.ndarray:
    """Blurs a picture, float32 [S, S, 3], by the draw of that seed; `options` is `config.degradation`."""
    rng, size = np.random.default_rng(seed), len(picture)
    family = options.families[rng.integers(len(options.families))]
    rms = size * options.rms_min * (options.rms_max / options.rms_min) ** rng.random()
    if family == "downup":
        small = max(1, round(size / max(1.0, np.sqrt(max(0.0, 2 * rms**2 - 1 / 3)))))
        bytes_of = Image.fromarray((255 * picture).round().astype(np.uint8))
        down = bytes_of.resize((small, small), Image.Resampling.BOX)
        return np.asarray(down.resize((size, size), Image.Resampling.BILINEAR), np.float32) / 255
    aspect = rng.uniform(0.2, 0.6) if family == "anisotropic" else 1.0
    major = rms / np.sqrt(1 + aspect**2)
    return ndimage.gaussian_filter(picture, (major, aspect * major, 0), mode="mirror")


def update(trainer: expert.Trainer, batch: Batch, *, changes: bool = True) -> torch.Tensor:
    """Makes one update and returns the loss; arguments as of `expert.Trainer.update`."""
    config, device = trainer.config, trainer.device
    (_, labeled), degraded, clean, teacher = _load(batch.labeled, config, False, changes, device), None, None, None
    if uses_unlabeled(config):
        original, pictures, blurred = _load(batch.unlabeled, config, True, changes, device)
        with torch.no_grad():
            if config.consistency.quadruplet_weight > 0:
                clean = _score_sides(trainer, trainer.score, pictures)
            if trainer.teacher is not None:
                teacher = _score_sides(trainer, trainer.teacher_score, original)
        degraded = _score_sides(trainer, trainer.score, blurred)
    scores = expert.Scores(_score_sides(trainer, trainer.score, labeled), degraded, clean, teacher)
    order = torch.from_numpy(batch.order).to(device, torch.float32)
    return trainer.descend(expert.loss_of(scores, order, trainer.ramp(), config))


def _load(
    pairs: np.ndarray, config: ml_collections.ConfigDict, degraded: bool, changes: bool, device: torch.device
) -> list[torch.Tensor]:
    loader = DataLoader(Pairs(pairs, config, degraded=degraded, changes=changes), batch_size=len(pairs))
    (versions,) = loader
    return [version.to(device) for version in versions]


def _score_sides(trainer: expert.Trainer, score: torch.nn.Module, pairs: torch.Tensor) -> torch.Tensor:
    """Scores [n, 2, 3, S, S], the left pictures and then the right ones: float32 [n, 2]."""
    with trainer.autocast():
        return torch.stack([score(side.contiguous()) for side in pairs.unbind(1)], 1)
