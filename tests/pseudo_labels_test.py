"""What quadruplet consistency has left to teach: figures by hand, and the command on a run."""

import numpy as np
import pytest

from benchmarks import pseudo_orders
from blur_jax import train
from configs import default


def test_figures_by_hand():
    # Right and kept by the margin; right, kept by less; wrong, and kept; right, and turned round.
    clean, degraded = np.array([0.4, 0.3, -0.2, 0.1]), np.array([0.3, 0.02, -0.1, -0.05])
    found = pseudo_orders.figures(clean, degraded, np.ones(4), 0.05)
    assert found == pytest.approx((0.75, 0.5, 0.75, 0.5, (0.03 + 0.1) / 4))


def test_both_images_of_a_pair_are_degraded_alike_and_pairs_differ():
    image = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    degraded = pseudo_orders.degrade(np.broadcast_to(image, (6, 2, 32, 32, 3)), default.get_config())
    np.testing.assert_array_equal(degraded[:, 0], degraded[:, 1])
    assert len({pair.tobytes() for pair in degraded}) == 6
    assert all(pair[0].std() < image.std() for pair in degraded)


def test_the_command_prints_a_row_for_each_config(config, tmp_path, capsys):
    config.steps = config.checkpoint_every = 3
    train.train(config, str(tmp_path))
    options = [f"--run={tmp_path}", f"--data_dir={config.data.dir}", "--pairs=6"]
    pseudo_orders.main([*options, "--config=default", "--config=wider_blur"])
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("| default | ") and second.startswith("| wider_blur | ")
    values = [float(cell) for cell in first.split("|")[2:-1]]
    assert len(values) == len(pseudo_orders.COLUMNS) and all(0 <= value <= 1 for value in values)
    with pytest.raises(SystemExit, match="pseudo_orders.py: No module named"):
        pseudo_orders.main([*options, "--config=nowhere"])
