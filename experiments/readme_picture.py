"""Draws the picture in the README from a finished demo run.

python -m experiments.readme_picture --run=runs/demo
"""

import numpy as np
from absl import flags

from blur_jax.evaluate import evaluation as evaluate
from blur_jax.evaluate import figures
from blur_jax.metrics import ranked_split
from blur_jax.runs import checkpoints, run_dir
from experiments import command


def run(run: str, output: str) -> None:
    _, scored = evaluate.score_splits(checkpoints.find(run).config, run)
    split, scores = scored["test"]
    images, groups = split.images(range(len(split))), [split.faces.groups[row] for row in split.rows]
    ranks, names = np.asarray(split.labels), list(split.names)
    evaluation = ranked_split.Evaluation("test", scores, ranks, names, groups, images, {})
    picture = figures.to_webp(figures.sorted_faces(evaluation, columns=10, rows=3), quality=85)
    run_dir.resolve(output).write_bytes(picture)


if __name__ == "__main__":
    flags.DEFINE_string("run", "runs/demo", "The run to show.")
    flags.DEFINE_string("output", "docs/sorted_faces.webp", "WebP file to write.")
    command.main(run)
