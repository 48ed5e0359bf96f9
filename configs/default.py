"""Demo: semi-supervised training on real faces with blur of known strength. Every field is documented here.

An unset field (`placeholder`) turns its feature off or leaves the choice to the code; `--config.<field>=None` unsets a
field. A warm-up that does not fit in the run is shortened to half the run.

Command:  python launch.py --workdir=runs/demo
Machine:  2 CPU cores, no accelerator
Time:     2 minutes, including 1 minute of training
Result:   Spearman 0.959, pairwise accuracy 0.944 on faces of 8 people not seen in training (docs/results.md)
"""

import ml_collections
from ml_collections.config_dict import placeholder


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0  # Fixes initialization, data order and every random draw.
    config.steps = 600  # Updates in the run; with 0, it keeps the initial network, such as a fitted head.
    config.start_from = placeholder(str)  # Start from this run, its checkpoints/<step>, or the scorer "portraits-2".
    data = config.data = ml_collections.ConfigDict()
    data.name = "demo_face_blur"  # A data set in tfds_builders/.
    data.dir = placeholder(str)  # Prepared data; if unset, $BLUR_JAX_DATA or ~/.cache/blur_jax.
    data.manual_dir = placeholder(str)  # The user's own image folders and lists, for data sets that need them.
    data.allow_missing = False  # Allow pictures in the lists to be missing.
    data.sources = placeholder(str)  # Hash of the lists and pictures; if unset, launch.py fills it in.
    data.image_size = 64  # Side of the square that the network sees, in pixels.
    data.context = 1.0  # Side of the square crop divided by the longer side of the face box.
    data.labeled_split = "train"  # Split to take labeled training pairs from.
    data.labeled_count = placeholder(int)  # Train on only this many labeled pairs, chosen by the seed.
    data.leave_out = placeholder(str)  # Leave out training pairs with a face whose name contains this text.
    data.cache_mb = 2048  # Keep decoded faces in memory if they fit in this many MiB.
    config.batch = ml_collections.ConfigDict()
    config.batch.labeled = 32  # Labeled pairs in a global batch.
    config.batch.unlabeled = 32  # Unlabeled pairs in a global batch.
    model = config.model = ml_collections.ConfigDict()
    model.backbone = "small"  # "small", "resnet18", "resnet50" or "efficientnet_lite0".
    model.blocks = placeholder(int)  # Number of efficientnet_lite0 blocks to keep, starting with the first.
    model.pool_center = False  # Also pool over the central half of each feature map.
    model.pretrained = False  # Start from ImageNet weights (efficientnet_lite0).
    model.frozen_blocks = 0  # Freeze the stem and this many blocks after it (efficientnet_lite0); 0 freezes nothing.
    model.dtype = "float32"  # Compute in "float32" or "bfloat16"; parameters are always float32.
    _set_probe(config)
    _set_losses(config)
    config.optimizer = ml_collections.ConfigDict()
    config.optimizer.learning_rate = 6e-3  # Peak value, after the warm-up and before cosine decay to 0.
    config.optimizer.warmup_steps = 20  # Steps over which the learning rate rises to its peak.
    config.optimizer.weight_decay = 1e-4  # For AdamW; not applied to biases and normalization parameters.
    config.optimizer.clip_norm = 1.0  # Largest global gradient norm; if unset, gradients are not clipped.
    config.optimizer.max_skipped_updates = 0  # Non-finite updates in a row to skip; 0 stops at the first one.
    config.ema_decay = placeholder(float)  # Decay of the parameters' moving average, which is then used to score.
    config.log_every = 20  # Steps between rows of metrics.jsonl, each the mean over these steps.
    config.checkpoint_every = 100  # Steps between validations; each adds a checkpoint and a row of validation.jsonl.
    config.keep = 2  # Number of recent checkpoints to keep, in addition to the best by validation.
    config.evaluation = ml_collections.ConfigDict()
    config.evaluation.batch_size = 256  # Images in a global batch.
    config.evaluation.resamples = 1000  # Bootstrap resamples.
    config.evaluation.judged = placeholder(str)  # Table of test faces that judges compared in pairs (docs/data.md).
    return config


def _set_probe(config: ml_collections.ConfigDict) -> None:
    """Sets how the initial head is fitted; models/linear_probe.py has the formula."""
    probe = config.probe = ml_collections.ConfigDict()
    probe.strength = placeholder(float)  # Fit the initial head to labeled pairs; larger fits closer.
    probe.content = 0.0  # Penalty on differences between the scores of different faces at equal blur.
    probe.changes = 0.0  # Penalty on differences between the scores of a face before and after an augmentation.
    probe.prior = 0.0  # Weight of following the scores of the head in `start_from` on unlabeled faces.
    probe.faces = 1500  # Unlabeled faces to use.
    probe.side_min = 20  # Smallest side, in pixels, that unlabeled faces are reduced to.
    probe.side_max = 40  # Largest side; it should hide the blur that faces have.


def _set_losses(config: ml_collections.ConfigDict) -> None:
    config.ranking = ml_collections.ConfigDict()
    config.ranking.weight = 1.0  # Weight of the labeled pairs; with 0, only unlabeled pictures are used.
    config.ranking.margin = 0.1  # How much the blurrier image of a labeled pair must outscore the other.
    config.ranking.tie_margin = 0.05  # How much the scores of a tied pair may differ.
    consistency = config.consistency = ml_collections.ConfigDict()
    consistency.quadruplet_weight = 1.0  # Weight of quadruplet ranking consistency; 0 turns it off.
    consistency.pairwise_weight = 0.0  # Weight of pairwise ranking consistency; 0 turns it off.
    consistency.distillation_weight = 0.0  # Weight of distilling the initial network's order; 0 turns it off.
    consistency.margin = 0.05  # Margin of quadruplet and pairwise consistency.
    consistency.teach_degraded = False  # Distill scores of the degraded pictures instead of the clean ones.
    consistency.temperature = 0.2  # Logit difference at which distillation is 73% sure of an order.
    consistency.pairs_per_degradation = 1  # Unlabeled pairs that share a draw; distillation compares all their images.
    consistency.share_degradation = True  # If False, draw one per image, which the paper advises against.
    consistency.warmup_steps = 100  # Steps over which the weights rise from 0, because early pseudo-labels are noisy.
    consistency.confidence_threshold = 0.0  # Pairs whose clean scores differ by less than this are ignored.
    degradation = config.degradation = ml_collections.ConfigDict()
    degradation.families = ("gaussian", "anisotropic", "downup")  # Blur families to draw from.
    degradation.rms_min = 0.01  # Weakest blur: RMS radius of its point spread function, in image widths.
    degradation.rms_max = 0.06  # Strongest blur.
    degradation.noise_max = 0.0  # Largest standard deviation of sensor noise, in linear light.
    degradation.jpeg_min_quality = placeholder(int)  # Lowest JPEG-like quality, 1 to 100; if unset, no JPEG.
    # Changes that do not affect the rank of blur; each image gets its own draw.
    augment = config.augment = ml_collections.ConfigDict()
    augment.flip = True  # Left-right flips.
    augment.exposure = 1.0  # Largest exposure change, in stops.
    augment.contrast = 0.6  # Largest relative contrast change.
    augment.color = 0.1  # Largest relative change of each color channel.
    augment.noise = 0.05  # Largest standard deviation of noise, in sRGB values from 0 to 1.
