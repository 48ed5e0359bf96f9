"""What quadruplet consistency has left to teach: metrics by hand, and the experiment on a run."""

import math

import numpy as np
import pytest

from blur_jax.train import loop
from configs import default
from experiments import pseudo_labels

# Right and kept by the margin; right, kept by less; wrong, and kept; right, and turned round.
CLEAN, DEGRADED = np.array([0.4, 0.3, -0.2, 0.1]), np.array([0.3, 0.02, -0.1, -0.05])


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.0, (1.0, 0.75, 0.5, 0.75, 0.5, (0.03 + 0.1) / 4)),
        (0.15, (0.75, 2 / 3, 2 / 3, 1.0, 2 / 3, 0.03 / 3)),
        (0.3, (0.5, 1.0, 1.0, 1.0, 0.5, 0.03 / 2)),
    ],
)
def test_metrics_by_hand(threshold, expected):
    found = pseudo_labels.measure(CLEAN, DEGRADED, np.ones(4), margin=0.05, confidence_threshold=threshold)
    assert found == pytest.approx(expected)


def test_where_no_pair_is_confident_nothing_is_measured():
    share, *others = pseudo_labels.measure(CLEAN, DEGRADED, np.ones(4), margin=0.05, confidence_threshold=0.5)
    assert share == 0 and len(others) == 5 and all(map(math.isnan, others))


def test_both_images_of_a_pair_are_degraded_alike_and_pairs_differ():
    image = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    pairs = np.broadcast_to(image, (6, 2, 32, 32, 3))
    degraded = pseudo_labels.degrade(pairs, default.get_config().degradation)
    np.testing.assert_array_equal(degraded[:, 0], degraded[:, 1])
    assert len({pair.tobytes() for pair in degraded}) == 6
    assert all(pair[0].std() < image.std() for pair in degraded)


def test_the_experiment_prints_a_row_for_each_config_and_threshold(config, tmp_path, capsys):
    config.steps = config.checkpoint_every = 3
    loop.train(config, str(tmp_path / "run"))
    options = {"run": str(tmp_path / "run"), "data_dir": config.data.dir, "pairs": 6, "workdir": str(tmp_path)}
    names = ["configs.default", "experiments.configs.rendered_blur"]
    pseudo_labels.run(configs=names, **options)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    rows = [row for row in rows if row and row[0] in names]
    assert [row[:2] for row in rows] == [[name, text] for name in names for text in ("0", "0.1", "0.2", "0.3")]
    for name in names:
        shares = [float(row[2]) for row in rows if row[0] == name]
        assert shares[0] == 1 and shares == sorted(shares, reverse=True)
    assert all(0 <= float(cell) <= 1 for row in rows for cell in row[3:] if cell)
    with pytest.raises(ValueError, match="takes modules such as configs.default: No module named"):
        pseudo_labels.run(configs=["configs.nowhere"], **options)
