"""How fast the train step is, and what augmentation and degradation take of it.

    python benchmarks/train_step.py [--config=configs/default.py] [--batch=32]

Prints images per second and milliseconds of the whole step, and of the step with the degradation, or the augmentation,
replaced by the identity; medians of several, interleaved, so that a noisy machine disturbs all alike.
"""

import argparse
import importlib.util
import os
import platform
import statistics
import sys
import time
from unittest import mock

import jax
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from blur_jax import augment, degradations, models, optimizer, parallel, train_state, train_step  # noqa: E402

VARIANTS = {
    "whole step": {},
    "without degradation": {"degradations.apply": lambda draw, images: images},
    "without augmentation": {"augment.augment": lambda key, image, **options: image},
}


def load_config(path):
    spec = importlib.util.spec_from_file_location("config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


def compiled(config, batch, changes):
    """A function that makes one update and waits for it."""
    model = models.from_config(config.model)
    tx = optimizer.build(config.optimizer, config.steps)
    size = config.data.image_size
    params = jax.jit(model.init)(jax.random.key(0), np.zeros((1, size, size, 3), np.float32))["params"]
    state = parallel.replicate(jax.device_get(train_state.create(params, tx, ema=config.ema_decay > 0)))
    step = parallel.pmap(train_step.make_train_step(model, tx, config))
    places = {"degradations.apply": (degradations, "apply"), "augment.augment": (augment, "augment")}
    patches = [mock.patch.object(*places[name], replacement) for name, replacement in changes.items()]
    for patch in patches:
        patch.start()
    jax.block_until_ready(step(state, batch))  # traced and compiled here, with the changes in place
    for patch in patches:
        patch.stop()
    return lambda: jax.block_until_ready(step(state, batch))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=os.path.join(ROOT, "configs", "default.py"))
    parser.add_argument("--batch", type=int, default=0, help="pairs of each kind; default as in the config")
    parser.add_argument("--dtype", default="", help="float32 or bfloat16; default as in the config")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    config = load_config(options.config)
    config.model.dtype = options.dtype or config.model.dtype
    sizes = {part: options.batch or config.batch[part] for part in ("labeled", "unlabeled")}
    random, size = np.random.default_rng(0), config.data.image_size
    batch = {
        part: {side: random.integers(0, 256, (count, size, size, 3), np.uint8) for side in ("left", "right")}
        for part, count in sizes.items()
    }
    batch["labeled"]["order"] = np.ones(sizes["labeled"], np.int8)
    batch = parallel.shard(batch)
    steps = {name: compiled(config, batch, changes) for name, changes in VARIANTS.items()}
    seconds = {name: [] for name in steps}
    for _ in range(options.repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    images, whole = 2 * sum(sizes.values()), medians["whole step"]
    device = f"{jax.device_count()} x {jax.devices()[0].device_kind}, {os.cpu_count()} cores"
    print(f"{config.model.backbone} {config.model.dtype}, {sizes} pairs of {size} px")
    print(f"{device}; jax {jax.__version__}, {platform.machine()}")
    for name, median in medians.items():
        share = "" if name == "whole step" else f"  (it takes {100 * (1 - median / whole):.0f}% of the step)"
        print(f"{name:<22} {1e3 * median:8.1f} ms  {images / median:8.0f} images/s{share}")


if __name__ == "__main__":
    main()
