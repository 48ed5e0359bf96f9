"""The demo: semi-supervised training on real faces with blur of known strength. Every field is documented here.

Command:  python launch.py --workdir=runs/demo
Machine:  2 CPU cores, no accelerator
Result:   README.md, section "Results"
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """Returns the default config; other config files change a few of its fields."""
    config = ml_collections.ConfigDict()
    config.seed = 0  # Fixes initialization, data order and every random draw.
    config.steps = 600  # Updates in the run.

    config.data = ml_collections.ConfigDict()
    config.data.name = "demo_face_blur"  # A data set of tfds_builders/.
    config.data.dir = ""  # Where prepared data live; "" is $BLUR_JAX_DATA, or ~/.cache/blur_jax.
    config.data.manual_dir = ""  # The user's own image folders and lists, for data sets that need them.
    config.data.partial = False  # Accept that some images of the lists are missing.
    config.data.image_size = 64  # Side of the square that the scorer sees, in pixels.
    config.data.context = 1.0  # Side of the square crop over the longer side of the face box.
    config.data.labeled_split = "train"  # Split of the labeled pairs to train on.
    config.data.labeled_count = 0  # Train on so many labeled pairs only, drawn by the seed; 0 is all.
    config.data.leave_out = ""  # Leave out training pairs with a face whose name holds this: an event, a person.
    config.data.cache_mb = 2048  # Keep a split's decoded images in memory where they fit.

    config.batch = ml_collections.ConfigDict()
    config.batch.labeled = 32  # Labeled pairs in a global batch.
    config.batch.unlabeled = 32  # Unlabeled pairs in a global batch.

    config.model = ml_collections.ConfigDict()
    config.model.backbone = "small"  # "small", "resnet18", "resnet50" or "efficientnet_lite0".
    config.model.blocks = 0  # Keep only the first so many blocks of efficientnet_lite0; 0 is all.
    config.model.center = False  # Pool over the central half of each feature map, too.
    config.model.pretrained = False  # Start from ImageNet weights (efficientnet_lite0).
    config.model.frozen_blocks = 0  # Leave the stem and the first so many blocks of efficientnet_lite0 as they are.
    config.model.linear_probe = 0.0  # Start from a head fitted to the labeled pairs, of this strength; 0 is off.
    config.model.dtype = "float32"  # Of the computation, "float32" or "bfloat16"; parameters are always float32.

    config.ranking = ml_collections.ConfigDict()
    config.ranking.weight = 1.0  # Of the labeled pairs; 0 learns from unlabeled pictures alone.
    config.ranking.margin = 0.1  # By how much the blurrier image of a labeled pair must outscore the other.
    config.ranking.tie_margin = 0.05  # By how much the scores of a tied pair may differ.

    config.consistency = ml_collections.ConfigDict()
    config.consistency.quadruplet_weight = 1.0  # Of quadruplet ranking consistency; 0 turns it off.
    config.consistency.pairwise_weight = 0.0  # Of pairwise ranking consistency; 0 turns it off.
    config.consistency.margin = 0.05  # Of both consistency losses.
    config.consistency.warmup_steps = 100  # The weights rise from 0 over so many steps: early pseudo-orders are noise.
    config.consistency.gate = 0.0  # Pairs whose clean scores differ by less are left out; 0 leaves none out.
    config.consistency.teacher = "student"  # Who orders the clean pair: "student", or "ema" (needs ema_decay).

    config.degradation = ml_collections.ConfigDict()
    config.degradation.families = ("gaussian", "anisotropic", "downup")  # Blur families to draw from.
    config.degradation.rms_min = 0.01  # Weakest blur: r.m.s. radius of its point spread function, in image widths.
    config.degradation.rms_max = 0.06  # Strongest blur.
    config.degradation.noise_max = 0.0  # Largest standard deviation of sensor noise, in linear light; 0 is off.
    config.degradation.jpeg_min_quality = 100  # Lowest JPEG-like quality, 1 to 100; 100 is off.

    config.augment = ml_collections.ConfigDict()  # Changes that keep the rank of blur; each image draws its own.
    config.augment.flip = True  # Left-right flips.
    config.augment.exposure = 1.0  # Largest change of exposure, in stops.
    config.augment.contrast = 0.6  # Largest relative change of contrast.
    config.augment.color = 0.1  # Largest relative change of each color channel.
    config.augment.noise = 0.05  # Largest standard deviation of noise, in sRGB values from 0 to 1; 0 is off.

    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.learning_rate = 3e-3  # At its peak.
    config.optimizer.schedule = "cosine"  # "cosine", "linear" or "constant", after the warm-up.
    config.optimizer.warmup_steps = 20  # Steps over which the learning rate rises to its peak.
    config.optimizer.weight_decay = 1e-4  # AdamW's; biases and normalization are spared.
    config.optimizer.clip_norm = 1.0  # Largest global gradient norm; 0 turns clipping off.

    config.ema_decay = 0.0  # Decay of the moving average of the parameters, used to score where on; 0 is off.

    config.log_every = 20  # Steps between rows of metrics.jsonl.
    config.checkpoint_every = 100  # Steps between validations, each followed by a checkpoint.
    config.keep = 2  # Newest checkpoints kept, beside the best by validation.

    config.evaluation = ml_collections.ConfigDict()
    config.evaluation.batch_size = 256  # Images in a global batch.
    config.evaluation.resamples = 1000  # Of the bootstrap.
    return config
