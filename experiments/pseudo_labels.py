"""Can quadruplet consistency teach a run anything? Its pseudo-labels on labeled pairs used as if they were unlabeled.

    python -m experiments.pseudo_labels --run=runs/wider_blur --data_dir=DIR --workdir=runs/pseudo_labels

Degrades held-out labeled pairs (`validation`) as each config does, and keeps those whose clean scores differ by a
confidence threshold. A row has their share of all pairs; the share of them in the labeled order, clean (are the
pseudo-labels right?) and degraded (does the degradation keep the order?); the share of degraded pairs in the order of
the clean scores, and by the margin (is there anything left to teach?); and the mean loss.
"""

import importlib
import math

import jax
import ml_collections
import numpy as np
from absl import flags

from blur_jax.data import degradations, splits
from blur_jax.metrics import rank_statistics
from blur_jax.score.scorer import Scorer, load_scorer
from blur_jax.train import losses
from experiments import command, tables

COLUMNS = ("pairs kept", "clean, as labeled", "degraded, as labeled", "degraded, as clean", "by the margin", "loss")
THRESHOLDS = (0.0, 0.1, 0.2, 0.3)


def degrade(pairs: np.ndarray, config: ml_collections.ConfigDict) -> np.ndarray:
    """Degrades pairs, both images of a pair by one draw, always the same.

    Args:
        pairs: uint8 [m, 2, S, S, 3].
        config: `config.degradation` of a run.

    Returns:
        uint8 [m, 2, S, S, 3].
    """

    @jax.jit
    def one(key: jax.Array, pair: jax.Array) -> jax.Array:
        drawn = degradations.sample(key, image_size=pairs.shape[2], **config)
        return degradations.apply(drawn, pair)

    keys = jax.random.split(jax.random.key(0), len(pairs))
    degraded = [np.asarray(one(key, pair / np.float32(255))) for key, pair in zip(keys, pairs)]
    return np.rint(255 * np.stack(degraded)).astype(np.uint8)


def gaps(scorer: Scorer, pairs: np.ndarray) -> np.ndarray:
    """Returns the score of the right image less that of the left, [m], of uint8 [m, 2, S, S, 3]."""
    images = pairs.reshape(-1, *pairs.shape[2:])
    return np.diff(scorer.score_images(images, batch_size=8).reshape(-1, 2))[:, 0]


def measure(
    clean: np.ndarray, degraded: np.ndarray, order: np.ndarray, *, margin: float, confidence_threshold: float
) -> tuple[float, ...]:
    """Measures pseudo-labels.

    Args:
        clean: [m], gaps of the clean pairs.
        degraded: [m], gaps of the degraded pairs.
        order: [m], labeled order, +1 or -1.
        margin: of quadruplet consistency.
        confidence_threshold: pairs with a smaller gap, clean, are left out.

    Returns:
        `COLUMNS`: the share of pairs kept; of these, four shares and the mean loss, nan where none is kept.
    """
    kept = np.abs(clean) >= confidence_threshold
    if not kept.any():
        return (0.0, *[math.nan] * (len(COLUMNS) - 1))
    share, clean, degraded, order = float(np.mean(kept)), clean[kept], degraded[kept], order[kept]
    taught = degraded * np.sign(clean)
    loss = losses.quadruplet_consistency(
        clean_left=0.0, clean_right=clean, degraded_left=0.0, degraded_right=degraded, margin=margin
    )
    return (
        share,
        float(np.mean(rank_statistics.in_order(0, clean, order))),
        float(np.mean(rank_statistics.in_order(0, degraded, order))),
        float(np.mean(taught > 0)),
        float(np.mean(taught >= margin)),
        float(losses.mean(loss)),
    )


def load_degradation(module: str) -> ml_collections.ConfigDict:
    """Returns `config.degradation` of the config that a module, such as "configs.default", holds.

    Raises:
        ValueError: there is no such module.
    """
    try:
        return importlib.import_module(module).get_config().degradation
    except ModuleNotFoundError as error:
        raise ValueError(f"--configs takes modules such as configs.default: {error}") from error


def run(run: str, data_dir: str | None, configs: list[str], pairs: int, workdir: str) -> None:
    """Prints a row for each config and threshold, and writes `pseudo_labels.md`.

    Args:
        run: a trained run, or one of its checkpoints.
        data_dir: where the run's data set is prepared; None: where the run found it.
        configs: modules of configs, for their degradation.
        pairs: at most so many labeled pairs.
        workdir: where the table goes.

    Raises:
        ValueError, OSError: of the run, its data or a config.
    """
    of_names = {name: load_degradation(name) for name in configs}
    scorer = load_scorer(run)
    if data_dir is not None:
        scorer.config.data.dir = data_dir
    split = splits.open_split(scorer.config.data, "labeled", "validation")
    drawn = np.random.default_rng(0).permutation(len(split))[:pairs]
    drawn = drawn[split.labels[drawn] != 0]
    images, order = split.images(drawn), split.labels[drawn]
    clean, margin = gaps(scorer, images), scorer.config.consistency.margin
    rows = []
    for name, degradation in of_names.items():
        degraded = gaps(scorer, degrade(images, degradation))
        for threshold in THRESHOLDS:
            found = measure(clean, degraded, order, margin=margin, confidence_threshold=threshold)
            rows.append([name, f"{threshold:g}", *("" if math.isnan(value) else f"{value:.3f}" for value in found)])
    table = tables.markdown(["degraded as by", "confidence threshold", *COLUMNS], rows)
    tables.publish(workdir, "pseudo_labels", {f"Pseudo-labels of {run} on {len(order)} held-out labeled pairs": table})


if __name__ == "__main__":
    flags.DEFINE_string("run", None, "A trained run, or one of its checkpoints.", required=True)
    flags.DEFINE_string("data_dir", None, "Where the run's data set is prepared, if not where the run found it.")
    modules = ["experiments.configs.label_efficiency", "experiments.configs.rendered_blur"]
    flags.DEFINE_list("configs", modules, "Modules of configs, for their degradation.")
    flags.DEFINE_integer("pairs", 400, "At most so many labeled pairs.", lower_bound=1)
    command.define_workdir("runs/pseudo_labels")
    command.main(run)
