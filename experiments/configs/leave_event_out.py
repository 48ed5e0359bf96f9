"""The config that experiments/leave_event_out.py measures: configs/wider_blur.py of November 2026.

The other configs here start from it. Measure another config by its fields, as --config.model.pool_center=False, or by
its file, --config=configs/wider_blur.py.

Command:  python -m experiments.leave_event_out --config.data.manual_dir=DIR --workdir=runs/events/default
Machine:  2 CPU cores, no accelerator
Time:     5 minutes for each event and seed
Result:   docs/results.md, "Leave one event out"
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    """Returns the config; it sets every field that a result depends on."""
    config = default.get_config()
    config.steps = config.checkpoint_every = 200

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
    config.model.linear_probe_strength = 1e-4
    config.model.dtype = "float32"

    config.ranking.weight = 1.0
    config.ranking.margin = 0.3
    config.ranking.tie_margin = 0.05

    config.consistency.quadruplet_weight = 4.0
    config.consistency.pairwise_weight = 0.0
    config.consistency.distillation_weight = 0.0
    config.consistency.margin = 0.05
    config.consistency.warmup_steps = 100
    config.consistency.confidence_threshold = 0.0
    config.consistency.temperature = 0.2
    config.consistency.pairs_per_degradation = 1
    config.consistency.share_degradation = True

    config.degradation.families = ("defocus", "motion", "gaussian", "anisotropic", "downup")
    config.degradation.rms_min = 0.005
    config.degradation.rms_max = 0.02
    config.degradation.noise_max = 0.02
    config.degradation.jpeg_min_quality = 70

    config.augment.flip = True
    config.augment.exposure = 1.0
    config.augment.contrast = 0.6
    config.augment.color = 0.1
    config.augment.noise = 0.05

    config.optimizer.learning_rate = 1e-4
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = 1.0
    config.optimizer.max_skipped_updates = 0
    config.ema_decay = 0.99
    return config
