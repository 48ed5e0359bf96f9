"""The demo without its unlabeled pairs: what the consistency loss has to beat.

experiments/demo_ablation.py trains it as it is, and with quadruplet consistency.

Command:  python -m experiments.demo_ablation --workdir=runs/demo_ablation
Machine:  2 CPU cores, no accelerator
Time:     15 minutes for 6 runs
Result:   docs/results.md, "Demo"
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    """Returns the config; frozen, so it sets every field that a result depends on."""
    config = default.get_config()
    config.steps = 600
    config.checkpoint_every = 100

    config.data.name = "demo_face_blur"
    config.data.image_size = 64
    config.data.context = 1.0
    config.data.labeled_split = "train"

    config.batch.labeled = 32
    config.batch.unlabeled = 32

    config.model.backbone = "small"
    config.model.blocks = None
    config.model.pool_center = False
    config.model.pretrained = False
    config.model.frozen_blocks = 0
    config.model.linear_probe_strength = None
    config.model.dtype = "float32"

    config.ranking.weight = 1.0
    config.ranking.margin = 0.1
    config.ranking.tie_margin = 0.05

    config.consistency.quadruplet_weight = 0.0
    config.consistency.pairwise_weight = 0.0
    config.consistency.distillation_weight = 0.0
    config.consistency.margin = 0.05
    config.consistency.warmup_steps = 100
    config.consistency.confidence_threshold = 0.0
    config.consistency.temperature = 0.2
    config.consistency.pairs_per_degradation = 1
    config.consistency.share_degradation = True

    config.degradation.families = ("gaussian", "anisotropic", "downup")
    config.degradation.rms_min = 0.01
    config.degradation.rms_max = 0.06
    config.degradation.noise_max = 0.0
    config.degradation.jpeg_min_quality = None

    config.augment.flip = True
    config.augment.exposure = 1.0
    config.augment.contrast = 0.6
    config.augment.color = 0.1
    config.augment.noise = 0.05

    config.optimizer.learning_rate = 3e-3
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 1e-4
    config.optimizer.clip_norm = 1.0
    config.optimizer.max_skipped_updates = 0
    config.ema_decay = None
    return config
