"""Draws the README's picture from a finished demo run: python benchmarks/readme_picture.py --workdir=runs/demo"""

import argparse
import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from blur_jax import data, figures  # noqa: E402
from blur_jax.scorer import load_scorer  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", default="runs/demo", help="the run to show")
    scorer = load_scorer(parser.parse_args().workdir)
    examples = list(data.open_split(scorer.config.data, "ranked", "test").examples)
    columns = {key: [example[key] for example in examples] for key in examples[0]}
    images = np.stack(columns["image"])
    scores = scorer.score_prepared(images)
    evaluation = figures.Evaluation(
        "test", scores, np.asarray(columns["rank"], np.float32), columns["name"], columns["group"], images, {}
    )
    picture = figures.to_webp(figures.sorted_faces(evaluation, columns=10, rows=3), quality=85)
    with open(os.path.join(ROOT, "docs", "sorted_faces.webp"), "wb") as file:
        file.write(picture)


if __name__ == "__main__":
    main()
