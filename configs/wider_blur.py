"""Real photographs with human labels: a linear head on ImageNet features that measures blur, not faces.

A head on EfficientNet-Lite0 features is fitted to the labeled pairs and, on unlabeled faces, to the scores of
portraits-2, the scorer that comes with the package.

`config.probe.strength` moves along the frontier: with more, scores agree better with labels, but follow more who is
shown (docs/results.md, "Frontier"); experiments/configs/label_teacher.py is its other end. `--config.steps=200` also
trains the last three blocks to keep the head's order of unlabeled faces despite noise and exposure, which costs
agreement with judges on these data (docs/results.md, "Ablation").

DIR contains the photographs and lists in the formats of the paper's data release; see docs/data.md. The results are for
pairs derived from the WIDER FACE blur attribute.

Command:  python launch.py --config=configs/wider_blur.py --config.data.manual_dir=DIR --workdir=runs/wider_blur
Machine:  2 CPU cores, no accelerator
Time:     1 minute
Result:   agreement with judges 0.874 near, 0.821 far; size-matched AUC 0.853 near, 0.842 far (docs/results.md)
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.steps = 0  # The fit is all.
    config.data.name = "ssranking_face_blur"
    config.data.image_size = 128

    config.model.backbone = "efficientnet_lite0"
    config.model.blocks = 11
    config.model.frozen_blocks = 8
    config.model.pool_center = True
    config.model.pretrained = True
    config.start_from = "portraits-2"
    config.probe.update(strength=3e-6, prior=10.0)

    # What follows applies to --config.steps=200.
    config.batch.labeled = config.batch.unlabeled = 16
    config.ranking.margin = 0.3
    config.ranking.weight = 0.25  # More brings content back.
    config.optimizer.learning_rate = 3e-4
    config.optimizer.weight_decay = 0.0
    # A slow average retains part of the initial parameters, which helps on unseen events (Wortsman et al., CVPR 2022).
    config.ema_decay = 0.99
    # The fitted head scores pictures at low resolutions; the network learns to give the same order despite noise.
    config.consistency.quadruplet_weight = 0.0
    config.consistency.distillation_weight = 16.0
    config.consistency.warmup_steps = 0  # The teacher is fixed, so early targets are no noisier than late ones.
    config.consistency.teach_degraded = True
    config.consistency.share_degradation = False
    config.consistency.pairs_per_degradation = 4
    config.degradation.families = ("downup",)
    config.degradation.rms_min, config.degradation.rms_max = 0.004, 0.044
    return config
