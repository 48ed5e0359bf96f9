"""The paper's own recipe on real photographs: margin ranking and quadruplet ranking consistency, and nothing else.

The abstract and figures of arXiv 2207.06085 state both losses and that a pair shares its degradation. They do not state
the following, so these are our choices: the backbone and its start (EfficientNet-Lite0 with ImageNet weights, whose
first eight blocks stay frozen, as in configs/wider_blur.py), the input (128 px, the face box itself), the margins, the
weight of consistency and its warm-up (as in configs/default.py), the degradations (Gaussian and anisotropic blur, and
resampling), the augmentations, the optimizer and the number of steps.

Command:  python launch.py --config=configs/paper.py --config.data.manual_dir=DIR --workdir=runs/paper
Machine:  2 CPU cores, no accelerator
Time:     4 minutes
Result:   agreement with judges 0.790 near, 0.526 far; size-matched AUC 0.859 near, 0.793 far (docs/results.md)
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.steps = config.checkpoint_every = 300
    config.data.update(name="ssranking_face_blur", image_size=128)
    config.model.update(backbone="efficientnet_lite0", blocks=11, frozen_blocks=8, pool_center=True, pretrained=True)
    config.batch.update(labeled=16, unlabeled=16)
    config.optimizer.update(learning_rate=1e-3, weight_decay=0.0)
    return config
