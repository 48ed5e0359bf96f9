"""The config that experiments/leave_event_out.py evaluates: configs/wider_blur.py as of November 2026.

The other configs in this folder are based on it. To evaluate a different config, override fields, for example with
--config.model.pool_center=False, or pass a different file with --config=configs/wider_blur.py.

Command:  python -m experiments.leave_event_out --config.data.manual_dir=DIR --workdir=runs/events/default
Machine:  2 CPU cores, no accelerator
Time:     5 minutes for each event and seed
Result:   docs/results.md, "Leave one event out"
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    """Returns a config that sets every field that affects the results."""
    config = default.get_config()
    config.steps = config.checkpoint_every = 200
    config.data.update(name="ssranking_face_blur", image_size=128, context=1.0, labeled_split="train")
    config.batch.update(labeled=16, unlabeled=16)
    config.model.update(backbone="efficientnet_lite0", blocks=11, frozen_blocks=5, pool_center=True)
    config.model.update(pretrained=True, dtype="float32")
    config.probe.strength = 1e-4
    config.ranking.update(weight=1.0, margin=0.3, tie_margin=0.05)
    config.consistency.update(quadruplet_weight=4.0, pairwise_weight=0.0, distillation_weight=0.0)
    config.consistency.update(margin=0.05, warmup_steps=100, confidence_threshold=0.0, temperature=0.2)
    config.consistency.update(pairs_per_degradation=1, share_degradation=True)
    config.degradation.families = ("defocus", "motion", "gaussian", "anisotropic", "downup")
    config.degradation.update(rms_min=0.005, rms_max=0.02, noise_max=0.02, jpeg_min_quality=70)
    config.augment.update(flip=True, exposure=1.0, contrast=0.6, color=0.1, noise=0.05)
    config.optimizer.update(learning_rate=1e-4, warmup_steps=20, weight_decay=0.0, clip_norm=1.0)
    config.optimizer.max_skipped_updates = 0
    config.ema_decay = 0.99
    return config
