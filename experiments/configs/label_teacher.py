"""The recipe of configs/wider_blur.py with a teacher that is fitted to labels alone.

The head is fitted to the labeled pairs, and the network learns to keep the head's order of clean unlabeled pictures at
lower resolutions. It has the highest AUC against labels, but it follows content: see docs/results.md, "Content".

Command:  python launch.py --config=experiments/configs/label_teacher.py --config.data.manual_dir=DIR --workdir=WORKDIR
Machine:  2 CPU cores, no accelerator
Time:     3 minutes
Result:   docs/results.md, "Judged pairs", the row `label_teacher`
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.steps = config.checkpoint_every = 200
    config.data.name = "ssranking_face_blur"
    config.data.image_size = 128
    config.model.update(backbone="efficientnet_lite0", blocks=11, frozen_blocks=8, pool_center=True, pretrained=True)
    config.probe.strength = 1e-4
    config.batch.labeled = config.batch.unlabeled = 16
    config.ranking.margin = 0.3
    config.optimizer.update(learning_rate=3e-4, weight_decay=0.0)
    config.ema_decay = 0.99
    config.consistency.update(quadruplet_weight=0.0, distillation_weight=16.0, pairs_per_degradation=4)
    config.degradation.update(families=("downup",), rms_min=0.01, rms_max=0.02)  # 1/1.7 to 1/3.6 of the resolution.
    return config
