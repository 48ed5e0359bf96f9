"""Configs for tests."""

from blur_jax.data import splits

IMAGE_SIZE = 32


def shrink(config, demo_dir):
    """Makes any config run in seconds on the tiny demo data."""
    config.steps, config.log_every, config.checkpoint_every = 6, 1, 2
    config.data.name, config.data.dir, config.data.manual_dir = "demo_face_blur", demo_dir, None
    config.data.image_size, config.data.context, config.data.sources = IMAGE_SIZE, 1.0, None
    config.data.sources = splits.prepared_sources(config.data)
    config.probe.update(side_min=8, side_max=16)
    if config.start_from is not None:  # Another network.
        config.start_from, config.probe.prior = None, 0.0
    config.batch.labeled = config.batch.unlabeled = 8
    config.consistency.warmup_steps = config.optimizer.warmup_steps = 2
    config.evaluation.batch_size, config.evaluation.resamples = 16, 20
    return config


def flattened(config, prefix=""):
    """{"data.name": ..., "steps": ...} of a nested config."""
    flat = {}
    for name, value in config.items():
        nested = hasattr(value, "items")
        flat |= flattened(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat


# configs/folder.py is too large for a test: flags that shrink its network and its training.
SMALL_FOLDER = [
    "--config.steps=2",
    "--config.checkpoint_every=2",
    "--config.batch.labeled=4",
    "--config.batch.unlabeled=4",
    "--config.data.image_size=32",
    "--config.model.blocks=2",
    "--config.model.pretrained=False",
    "--config.start_from=None",
    "--config.probe.prior=0",
    "--config.probe.side_min=8",
    "--config.probe.side_max=16",
    "--config.model.frozen_blocks=0",
    "--config.optimizer.warmup_steps=1",
    "--config.evaluation.resamples=20",
]
