"""No human label at all: the network of the best recipe trained on rendered blur alone, a baseline to compare with.

A degraded copy must score higher than its own original (the idea of RankIQA, Liu et al., ICCV 2017). Labels are used
for the validation accuracy that is shown, and for nothing else.

Command:  python launch.py --config=experiments/configs/rendered_blur.py --config.data.manual_dir=DIR --workdir=WORKDIR
Machine:  2 CPU cores, no accelerator
Time:     3 minutes
Result:   docs/results.md, "Pseudo-labels", the row `rendered_blur`
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    """Returns the config; frozen, so it sets every field that a result depends on."""
    config = default.get_config()
    config.steps = config.checkpoint_every = 100

    config.data.name = "ssranking_face_blur"
    config.data.image_size = 128
    config.data.context = 1.0
    config.data.labeled_split = "train"

    config.batch.labeled = 16
    config.batch.unlabeled = 16

    config.model.backbone = "efficientnet_lite0"
    config.model.blocks = 11
    config.model.pool_center = True
    config.model.pretrained = True
    config.model.frozen_blocks = 5
    config.model.linear_probe_strength = None
    config.model.dtype = "float32"

    config.ranking.weight = 0.0
    config.ranking.margin = 0.3
    config.ranking.tie_margin = 0.05

    config.consistency.quadruplet_weight = 0.0
    config.consistency.pairwise_weight = 1.0
    config.consistency.distillation_weight = 0.0
    config.consistency.margin = 0.3
    config.consistency.warmup_steps = 100
    config.consistency.confidence_threshold = 0.0
    config.consistency.temperature = 0.2
    config.consistency.pairs_per_degradation = 1
    config.consistency.share_degradation = True

    # With no label to learn from, a wide range of blur, up to no more than a shape.
    config.degradation.families = ("defocus", "motion", "gaussian", "anisotropic", "downup")
    config.degradation.rms_min = 0.01
    config.degradation.rms_max = 0.06
    config.degradation.noise_max = 0.05
    config.degradation.jpeg_min_quality = 40

    config.augment.flip = True
    config.augment.exposure = 1.0
    config.augment.contrast = 0.6
    config.augment.color = 0.1
    config.augment.noise = 0.0

    config.optimizer.learning_rate = 1e-4
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = 1.0
    config.optimizer.max_skipped_updates = 0
    config.ema_decay = 0.98
    return config
