"""What is measured on the labeled validation pairs."""

import hashlib

import flax.linen as nn
import numpy as np
import pytest

from blur_jax.data import splits
from blur_jax.data.preprocessing import Preprocessing
from blur_jax.runs import checkpoints
from blur_jax.score.scorer import Scorer
from blur_jax.train import validation
from configs import default

# Four ordered pairs: differences 0.4 right, 0.3 wrong, 0.1 right, 0 undecided, which counts one half.
LEFT, RIGHT = np.array([0.1, 0.5, 0.5, 0.2]), np.array([0.5, 0.2, 0.4, 0.2])
ORDER = np.array([1, 1, -1, 1])


def test_metrics_by_hand():
    # Scores 0.1, 0.5, 0.5, 0.2, 0.5, 0.2, 0.4, 0.2 have the mean 0.325; squared deviations sum to 0.195.
    assert validation.pair_metrics(LEFT, RIGHT, ORDER, confidence_threshold=0.2) == pytest.approx(
        {
            "validation_accuracy": 2.5 / 4,
            "pseudo_label_share": 2 / 4,
            "pseudo_label_accuracy": 1 / 2,
            "score_spread": (0.195 / 8) ** 0.5,
        }
    )


def test_where_no_pair_is_confident_no_accuracy_is_made_up():
    found = validation.pair_metrics(LEFT, RIGHT, ORDER, confidence_threshold=0.9)
    assert found["pseudo_label_share"] == 0
    assert "pseudo_label_accuracy" not in found


@pytest.mark.parametrize(("spread", "said"), [(0.001, True), (0.1, False)])
def test_collapsed_scores_are_reported(capsys, spread, said):
    validation.warn_of_collapse(40, spread)
    assert ("step 40: the scores have collapsed" in capsys.readouterr().out) == said


def split_of(pairs, labels, faces=300):
    """A split of faces whose every pixel is their row."""
    images = [np.full((16, 16, 3), row % 256, np.uint8) for row in range(faces)]
    names = [f"face {row}" for row in range(faces)]
    every = splits.Faces(images, names, np.ones(faces, np.float32), [""] * faces)
    return splits.Split(every, np.array(pairs, np.int32), np.array(labels, np.int8), Preprocessing(image_size=16), {})


class Brightness(nn.Module):
    """Scores an image by its brightness."""

    @nn.compact
    def __call__(self, images):
        return images.mean(axis=(1, 2, 3)) * self.param("gain", nn.initializers.ones, ())


def validate(split, others=(), **data_fields):
    config = default.get_config()
    config.data.update(data_fields)
    params = {"gain": np.float32(1)}
    return validation.make_validate(config, Brightness(), split, others)(params)


def test_metrics_and_calibration_come_from_the_pairs():
    # Faces 0 to 199: in each pair the right one is brighter by one; the label of the last tenth is wrong.
    pairs, labels = np.arange(200).reshape(100, 2), [1] * 90 + [-1] * 10
    found, fitted = validate(split_of(pairs, labels), name="faces_of_mine", sources="1a2b3c4d")
    assert found["validation_accuracy"] == pytest.approx(0.9)
    assert fitted.reference == "200 validation faces of faces_of_mine (1a2b3c4d)"
    assert fitted.median == pytest.approx(99.5 / 255)
    assert fitted.pairs == 100
    assert fitted.scale > 0


def test_ties_count_for_the_calibration_alone():
    pairs = np.arange(200).reshape(100, 2)
    found, fitted = validate(split_of(pairs, [1] * 50 + [0] * 50))
    assert found["validation_accuracy"] == 1
    assert fitted.pairs == 100


def test_where_validation_has_few_faces_percentiles_come_from_all_splits():
    split, labeled = split_of([[0, 9]], [1]), split_of([[10, 11], [12, 13]], [1, 1])
    _, fitted = validate(split, [labeled], name="faces_of_mine")
    assert fitted.reference == "6 faces of faces_of_mine"
    assert (fitted.quantiles[0], fitted.quantiles[-1]) == (0, pytest.approx(13 / 255))
    assert fitted.scale is None


def test_of_many_faces_the_same_ones_are_taken_whatever_pairs_there_are():
    """The 500 of the first digests of their names; a hundred faces more displace some of them."""
    taken = []
    for count, pairs in ((800, np.arange(800)), (900, np.arange(900)[::-1])):
        labeled = split_of(pairs.reshape(-1, 2), [1] * (count // 2), faces=900)
        _, fitted = validate(split_of([[0, 1]], [1], faces=900), [labeled])
        assert fitted.reference.startswith("500 faces of ")
        digests = sorted(range(count), key=lambda row: hashlib.sha256(f"face {row}".encode()).digest())
        brightness = [row % 256 / 255 for row in digests[:500]]
        np.testing.assert_allclose(fitted.quantiles, np.quantile(brightness, np.linspace(0, 1, 101)), atol=1e-6)
        taken.append(set(digests[:500]))
    assert 400 < len(taken[0] & taken[1]) < 500


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (2, ["validation has only 2 ordered pair(s)", "the last one will be used", "about 480 more", "about 280 more"]),
        (40, ["validation has only 40 ordered pair(s)", "about 15 more"]),
        (50, []),
    ],
)
def test_few_validation_pairs_are_reported_once_with_what_would_do(capsys, pairs, said):
    split = split_of([[0, 1]] * pairs, [1] * pairs)
    labeled = split_of([[0, 1]] * (18 if pairs == 2 else 20), [1] * (18 if pairs == 2 else 20))
    validation.warn_of_few_pairs(split, labeled, steps=100)
    out = capsys.readouterr().out
    assert [text for text in said if text not in out] == []
    assert bool(out) == bool(said)
    validation.warn_of_few_pairs(split, labeled, steps=0)  # There is no checkpoint to choose.
    out = capsys.readouterr().out
    assert "checkpoint" not in out and bool(out) == (pairs < 30)


def test_a_run_saves_what_its_scores_mean(shared_run):
    """By the tiny demo's 10 validation pairs."""
    config, folder = shared_run
    saved = checkpoints.find(folder)
    assert (saved.step, saved.validation_pairs) == (config.steps, 10)
    # Fewer than 100 faces: 20 of validation, and those of 24 labeled and 16 unlabeled pairs.
    assert saved.calibration.reference == f"100 faces of demo_face_blur ({config.data.sources})"
    assert saved.calibration.scale is None
    scorer = Scorer(saved)
    images = splits.open_split(config.data, "labeled", "validation").images([0])[0]
    assert 0 <= scorer.columns(scorer.score_images(images))["blur_percentile"].min() <= 100
