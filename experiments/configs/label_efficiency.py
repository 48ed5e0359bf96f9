"""One run of experiments/label_efficiency.py, small enough for two CPU cores.

There is no validation but the one at the end, so that nothing is chosen by labels beyond the counted ones.

Command:  python -m experiments.label_efficiency --config.data.manual_dir=DIR --far=PHOTOS --workers=2
Machine:  2 CPU cores, no accelerator
Time:     90 minutes for 48 runs (--seeds=2) on a shared machine
Result:   docs/results.md, "Label efficiency"
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
    config.model.frozen_blocks = 11
    config.model.linear_probe_strength = 1e-4
    config.model.dtype = "float32"

    config.ranking.weight = 1.0
    config.ranking.margin = 0.3
    config.ranking.tie_margin = 0.05

    # The experiment sets those to 0 that a run does without.
    config.consistency.quadruplet_weight = 4.0
    config.consistency.pairwise_weight = 1.0
    config.consistency.distillation_weight = 16.0
    config.consistency.margin = 0.05
    config.consistency.warmup_steps = 50
    config.consistency.confidence_threshold = 0.0
    config.consistency.temperature = 0.2
    config.consistency.pairs_per_degradation = 4
    config.consistency.share_degradation = True

    config.degradation.families = ("downup",)
    config.degradation.rms_min = 0.01
    config.degradation.rms_max = 0.02
    config.degradation.noise_max = 0.0
    config.degradation.jpeg_min_quality = None

    config.augment.flip = True
    config.augment.exposure = 1.0
    config.augment.contrast = 0.6
    config.augment.color = 0.1
    config.augment.noise = 0.0

    config.optimizer.learning_rate = 1e-3
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = 1.0
    config.optimizer.max_skipped_updates = 0
    config.ema_decay = 0.98
    return config
