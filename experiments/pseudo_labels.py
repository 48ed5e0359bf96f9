"""Can quadruplet consistency teach a run anything? Its pseudo-orders on labeled pairs used as if unlabeled.

    python benchmarks/pseudo_orders.py --run=runs/wider_blur --data_dir=DIR --config=wider_blur --config=wider_rendered

Degrades held-out labeled pairs (`validation`) as each config does and prints a row in Markdown for each: the share of
pairs in the labeled order, clean and degraded (does the degradation keep the order?); the share of degraded pairs in
the order of the clean scores, and by the margin (is there anything left to teach?); and the mean loss.
"""

import argparse
import importlib
import os
import sys

import jax
import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from blur_jax import data, degradations, losses, metrics  # noqa: E402
from blur_jax.scorer import Scorer, load_scorer  # noqa: E402

COLUMNS = ("clean, as labeled", "degraded, as labeled", "degraded, as clean", "by the margin", "loss")


def degrade(pairs, config):
    """Degrades uint8 [m, 2, S, S, 3], both images of a pair by one draw of config.degradation; the same again."""

    @jax.jit
    def one(key, pair):
        drawn = degradations.sample(key, image_size=pairs.shape[2], **config.degradation)
        return degradations.apply(drawn, pair)

    keys = jax.random.split(jax.random.key(0), len(pairs))
    degraded = [np.asarray(one(key, pair / np.float32(255))) for key, pair in zip(keys, pairs)]
    return np.rint(255 * np.stack(degraded)).astype(np.uint8)


def gaps(scorer: Scorer, pairs):
    """Score of the right image less that of the left, [m], of uint8 [m, 2, S, S, 3]."""
    images = pairs.reshape(-1, *pairs.shape[2:])
    return np.diff(scorer.score_prepared(images, batch_size=8).reshape(-1, 2))[:, 0]


def figures(clean, degraded, order, margin):
    """The shares of `COLUMNS` and the loss, of gaps [m] of clean and degraded pairs and labeled orders [m]."""
    kept = degraded * np.sign(clean)
    loss = losses.quadruplet_consistency(
        clean_left=0.0, clean_right=clean, degraded_left=0.0, degraded_right=degraded, margin=margin
    )
    return (
        float(np.mean(metrics.in_order(0, clean, order))),
        float(np.mean(metrics.in_order(0, degraded, order))),
        float(np.mean(kept > 0)),
        float(np.mean(kept >= margin)),
        float(losses.mean(loss)),
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="a trained run, or one of its checkpoints")
    parser.add_argument("--data_dir", required=True, help="where the run's data set is prepared")
    parser.add_argument("--config", action="append", required=True, help="of configs/, its degradation; repeatable")
    parser.add_argument("--pairs", type=int, default=400, help="at most so many")
    options = parser.parse_args(argv)
    try:
        scorer = load_scorer(options.run)
        scorer.config.data.dir = options.data_dir
        examples = data.open_split(scorer.config.data, "labeled", "validation").examples
        drawn = np.random.default_rng(0).permutation(len(examples))[: options.pairs]
        examples = [example for example in (examples[int(index)] for index in drawn) if example["order"]]
        pairs = np.stack([np.stack([example["left"], example["right"]]) for example in examples])
        order = np.array([example["order"] for example in examples])
        clean, margin = gaps(scorer, pairs), scorer.config.consistency.margin
        print(f"| {len(pairs)} pairs, degraded as by | {' | '.join(COLUMNS)} |")
        print("|---" * (len(COLUMNS) + 1) + "|")
        for name in options.config:
            config = importlib.import_module(f"configs.{name}").get_config()
            found = figures(clean, gaps(scorer, degrade(pairs, config)), order, margin)
            print(f"| {name} | {' | '.join(f'{value:.3f}' for value in found)} |", flush=True)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        sys.exit(f"pseudo_orders.py: {error}")


if __name__ == "__main__":
    main()
