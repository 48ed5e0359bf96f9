"""No labels: a linear head on ImageNet features, fitted to sharp portraits that are blurred by known amounts.

The scorer that comes with the package is fitted with this config (docs/data.md). PORTRAITS is a folder of sharp
portraits with boxes.csv.

Command:  python launch.py --config=configs/portraits.py --config.data.manual_dir=PORTRAITS --workdir=runs/portraits
Machine:  2 CPU cores, no accelerator
Time:     2 minutes, most of it rendering
Result:   agreement with judges 0.874 near, 0.846 far; AUC 0.853 near, 0.842 far (docs/results.md)
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.steps = 0  # The fit is all: training blocks on rendered blur added nothing.
    config.data.name = "portrait_blur"
    config.data.image_size = 128
    config.model.backbone = "efficientnet_lite0"
    config.model.blocks = 11
    config.model.pool_center = True
    config.model.pretrained = True
    config.probe.update(strength=2e-6, content=0.6, changes=0.002)
    config.consistency.quadruplet_weight = 0.0
    return config
