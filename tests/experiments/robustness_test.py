"""Reading, measuring and reporting what moves a score; the changes themselves are in robustness_changes_test.py."""

import json
import math
import shutil
import types

import numpy as np
import pytest
from PIL import Image

from experiments import ranked, robustness
from experiments.robustness_changes import CHANGES, Change, gaussian_blur
from tests.helpers.faces import grainy, ranked_split

FLAT = np.full((64, 64, 3), 128, np.uint8)


def gray_split(grays, ranks, sizes=None):
    """Faces of 16 x 16 pixels, each of one gray level."""
    return ranked_split(np.stack([np.full((16, 16, 3), gray, np.uint8) for gray in grays]), ranks, sizes)


def mean_gray(images):
    return images.mean(axis=(1, 2, 3))


def test_a_run_is_read_by_the_logits_of_its_scores():
    scorer = types.SimpleNamespace(score_images=lambda images, batch_size: np.float32(images[:, 0, 0, 0] / 200))
    images = np.zeros((300, 2, 2, 3), np.uint8)  # More than one batch.
    images[:, 0, 0, 0] = np.arange(300) % 201
    readings = robustness.read_by_run(scorer, images)
    assert readings.shape == (300,)
    assert readings[100] == 0
    assert readings[150] == pytest.approx(math.log(3)) and readings[251] == pytest.approx(-math.log(3))
    # Clipped: a score of 0 is read as 1e-6, of 1 as 1 - 1e-6.
    assert readings[[201, 200]] == pytest.approx([-math.log(1e6), math.log(1e6)], abs=1e-4)


def test_a_baseline_is_read_by_minus_the_logarithm():
    readings = robustness.read_by_baseline(lambda image: float(image.mean()), np.stack([FLAT, 0 * FLAT]))
    np.testing.assert_allclose(readings, [-math.log(128), math.log(1e6)])


@pytest.mark.parametrize(
    ("splits", "found"), [(["test1", "test2", "test3"], ["test1", "test2"]), (["test8", "test9"], ["test8", "test9"])]
)
def test_the_headline_is_what_the_data_set_says_or_all(splits, found):
    assert ranked.headline_names({name: gray_split([100, 140], [0.0, 1.0]) for name in splits}) == found


def test_clear_faces_have_the_lowest_rank_of_their_own_split():
    splits = {"test1": gray_split([1, 2, 3], [0.0, 0.0, 9.0]), "test2": gray_split([1, 2], [2.0, 9.0])}
    assert robustness.clear_faces(splits).tolist() == [True, True, False, True, False]


def test_shifts_are_shares_of_the_gap(monkeypatch):
    splits = {"test": gray_split([90, 110, 130, 150], [0.0, 0.0, 1.0, 2.0])}  # Clear ones read 100, blurred 140.
    lighter = Change(lambda face, strength: face + np.uint8(strength), (0, 10), 0)
    turned = Change(lambda face, strength: 255 - face if strength else face, (False, True), False)
    later = Change(lambda face, strength: face + np.uint8(strength), (10, 20), 10)
    monkeypatch.setattr(robustness, "CHANGES", {"lighter": lighter, "turned": turned, "later": later})
    found, aucs = robustness.measure(mean_gray, splits, resamples=20)
    assert {key: auc[0] for key, auc in aucs.items() if key[0] == "turned"} == {
        ("turned", False): 1,
        ("turned", True): 0,
    }
    assert all(auc.shape == (21,) for auc in aucs.values())
    assert (found["clear"], found["blurred"], found["auc"]["value"]) == (100, 140, 1)

    (row,) = found["changes"]["lighter"]
    assert [row[key] for key in ("strength", "clear", "blurred", "all", "rms")] == [10, 0.25, 0.25, 0.25, 0.25]
    assert row["auc"]["value"] == 1 and row["auc_change"] == {"value": 0, "low": 0, "high": 0}

    (row,) = found["changes"]["turned"]  # To 165, 145, 125, 105: by 75, 35, -5, -45 in a gap of 40.
    assert [row[key] for key in ("clear", "blurred", "all")] == [55 / 40, -25 / 40, 15 / 40]
    assert row["rms"] == pytest.approx(math.sqrt((75**2 + 35**2 + 5**2 + 45**2) / 4) / 40)
    assert row["auc"]["value"] == 0 and row["auc_change"]["value"] == -1

    (row,) = found["changes"]["later"]  # Compared with its own neutral strength.
    assert row["strength"] == 20 and row["clear"] == 0.25


def test_two_scorers_are_compared_under_the_same_change(monkeypatch):
    """The first gains 0.2 on unchanged faces and 0.1 on changed ones, so that the change costs it 0.1 more."""
    monkeypatch.setattr(robustness, "CHANGES", {"JPEG": Change(lambda face, strength: face, (None, 90), None)})
    mine = {("JPEG", None): np.array([0.9, 0.8, 1.0]), ("JPEG", 90): np.array([0.8, 0.7, 0.9])}
    other = {("JPEG", None): np.array([0.7, 0.6, 0.8]), ("JPEG", 90): np.array([0.7, 0.6, 0.8])}
    neutral, changed = rows = robustness.difference(mine, other)
    assert (neutral["strength"], changed["strength"]) == (None, 90)
    lines = robustness.table_of_difference(rows).splitlines()
    assert lines[2] == "| JPEG | none | +0.200 [+0.200, +0.200] better | +0.000 [+0.000, +0.000] |"
    assert lines[3] == "| JPEG | 90 | +0.100 [+0.100, +0.100] better | -0.100 [-0.100, -0.100] **worse** |"


def test_images_alike_are_read_once(monkeypatch):
    splits = {"test": gray_split([100, 140], [0.0, 1.0])}
    change = Change(lambda face, strength: face + np.uint8(strength), (0, 10), 0)
    monkeypatch.setattr(robustness, "CHANGES", {"once": change, "again": change})
    seen = []
    found, _ = robustness.measure(lambda images: seen.append(images) or mean_gray(images), splits, resamples=5)
    assert [int(images[0, 0, 0, 0]) for images in seen] == [100, 110]
    assert found["changes"]["once"] == found["changes"]["again"]


def test_auc_is_the_mean_over_splits(monkeypatch):
    monkeypatch.setattr(robustness, "CHANGES", {})
    splits = {"test1": gray_split([100, 140], [0.0, 1.0]), "test2": gray_split([120, 110], [0.0, 1.0])}
    # Right in the first, wrong in the second; over all at once it would be 3 of 4.
    assert robustness.measure(mean_gray, splits, resamples=20)[0]["auc"]["value"] == 0.5


def test_a_measure_of_gradients_takes_noise_and_sharpening_for_sharpness():
    rng = np.random.default_rng(0)
    sharp = [grainy(seed) for seed in range(8)]
    blurred = [gaussian_blur(face, 0.03 + 0.02 * rng.random()) for face in sharp]
    splits = {"test": ranked_split(np.stack(sharp + blurred), np.repeat([0.0, 1.0], 8))}

    def gradient(image):
        return float(np.abs(np.diff(image.astype(float), axis=1)).mean())

    found, _ = robustness.measure(lambda images: robustness.read_by_baseline(gradient, images), splits, resamples=20)
    verdicts = {name: robustness.verdict(rows, blurs=CHANGES[name].blurs) for name, rows in found["changes"].items()}
    found_of = {name.split(" (")[0]: words for name, words in verdicts.items()}
    for name, words in {
        "Gaussian blur": "blurrier at every step, +",
        "down and up again": "blurrier at every step, +",
        "noise": "FINDING: mistaken for sharpness; blurred faces at least -",
        "over-sharpening": "FINDING: mistaken for sharpness; blurred faces at least -",
        "crop shifted right": "hardly matters",
    }.items():
        assert found_of[name].startswith(words)
    # Half the contrast halves all gradients: both groups move by log 2.
    (contrast,) = (rows for name, rows in found["changes"].items() if name.startswith("contrast"))
    gap = found["blurred"] - found["clear"]
    assert contrast[0]["clear"] == pytest.approx(math.log(2) / gap, rel=0.1)
    assert contrast[0]["blurred"] == pytest.approx(math.log(2) / gap, rel=0.1)


@pytest.mark.parametrize(
    ("grays", "ranks", "sizes", "message"),
    [
        ([140, 100], [0.0, 1.0], None, "me: the mean reading is 100.000 for blurred and 140.000 for clear faces, but"),
        ([100, 100], [0.0, 1.0], None, "blurred must be above clear"),
        ([100, 140], [1.0, 1.0], None, "^test has no clear and blurred faces of similar size; change --splits"),
        ([100, 140], [0.0, 1.0], [200, 20], "no clear and blurred faces of similar size"),
    ],
)
def test_without_a_gap_there_is_no_unit(grays, ranks, sizes, message):
    with pytest.raises(ValueError, match=message):
        robustness.measure(mean_gray, {"test": gray_split(grays, ranks, sizes)}, resamples=5, label="me")


def test_only_splits_without_both_kinds_of_faces_are_named():
    ranks = {"a": [1.0, 1.0], "good": [0.0, 1.0], "b": [0.0, 0.0]}
    splits = {name: gray_split([100, 140], split_ranks) for name, split_ranks in ranks.items()}
    with pytest.raises(ValueError, match="^a, b have no clear and blurred faces"):
        robustness.measure(mean_gray, splits, resamples=5)


def rows_of(*shifts):
    """Rows at strengths 1, 2, ... of shifts (clear, blurred)."""
    return [
        {"strength": index + 1, "clear": clear, "blurred": blurred, "all": (clear + blurred) / 2}
        for index, (clear, blurred) in enumerate(shifts)
    ]


HARDLY = "hardly matters; blurred faces at least -0.02 (at 1), clear faces at most +0.05"
PARTLY = "partly mistaken for blur; blurred faces at least +0.20 (at 2), clear faces at most +0.40"


@pytest.mark.parametrize(
    ("blurs", "shifts", "words"),
    [
        (True, [(0.2, 0.1), (0.8, 0.4)], "blurrier at every step, +0.15 to +0.60"),
        (True, [(0.2, 0.1), (0.1, 0.1), (0.3, 0.2)], "FINDING: not blurrier than the previous step at 2"),
        (True, [(-0.2, 0.1), (-0.4, 0.2)], "FINDING: not blurrier than the previous step at 1, 2"),
        (False, [(0.05, -0.02), (-0.9, 0.9)], HARDLY),
        (False, [(0.0, -0.05), (0.1, -0.2)], "partly mistaken for sharpness; blurred faces at least -0.20 (at 2)"),
        (False, [(0.3, 0.3), (0.4, 0.2)], PARTLY),
        (False, [(0.0, -0.6), (0.05, -0.4)], "FINDING: mistaken for sharpness; blurred faces at least -0.60 (at 1)"),
        (False, [(0.2, -0.6)], "FINDING: mistaken for sharpness and blur;"),
    ],
)
def test_blur_must_raise_the_score_at_every_step_and_nothing_else_may(blurs, shifts, words):
    verdict = robustness.verdict(rows_of(*shifts), blurs=blurs)
    assert verdict == words or not blurs and verdict.startswith(words)


def test_the_experiment_writes_and_prints_its_results(shared_run, tmp_path, capsys):
    baseline, run, out = "variance of the Laplacian", str(shared_run[1]), tmp_path / "out"
    copied = str(shutil.copytree(run, tmp_path / "copied"))
    robustness.run(run, copied, None, [baseline], None, 10, str(out))

    results = json.loads((out / "robustness.json").read_text())
    assert results["splits"] == ["test"] and results["faces"] == 25 and 0 < results["clear"] < 25
    assert list(results["scorers"]) == [run, copied, baseline]
    assert results["scorers"][run] == results["scorers"][copied]
    assert len(results["difference"]) == sum(len(change.strengths) for change in CHANGES.values())
    assert all(set(row["auc"].values()) == {0} for row in results["difference"])
    for found in results["scorers"].values():
        for name, rows in found["changes"].items():
            assert len(rows) == len(CHANGES[name].strengths) - 1
        assert [row["strength"] for row in found["changes"]["JPEG (quality)"]] == [90, 70, 50, 30]
    of_baseline = results["scorers"][baseline]["changes"]
    blur, noise = (of_baseline[name] for name in of_baseline if name.startswith(("Gaussian", "noise")))
    assert all(row["clear"] > 0 and row["blurred"] > 0 for row in blur)
    assert all(row["clear"] < 0 and row["blurred"] < 0 for row in noise)

    printed = capsys.readouterr().out
    assert printed == (out / "robustness.md").read_text()
    assert printed.count("\n| JPEG (quality) | ") == 3 * (1 + 4) + 5
    assert f"**{baseline}: AUC" in printed and f"**{run}: AUC" in printed
    with Image.open(out / "robustness.webp") as image:
        assert image.format == "WEBP" and image.size == (1100, 770)


def test_a_panel_for_each_change(monkeypatch):
    changes = {"JPEG": CHANGES["JPEG (quality)"], "other": CHANGES["noise (sigma of 255)"]}
    monkeypatch.setattr(robustness, "CHANGES", changes)
    rows = [{"strength": q, "clear": q / 100, "blurred": -q / 100} for q in (90, 70, 50, 30)]
    noise = [{"strength": s, "clear": 0.0, "blurred": 1.0} for s in (2, 5, 10, 20)]
    panels = robustness.draw({"changes": {"JPEG": rows, "other": noise}}).axes
    assert [panel.get_title("left") for panel in panels] == ["JPEG", "other"]
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == ["none", "90", "70", "50", "30"]
    lines = {line.get_label(): list(line.get_ydata()) for line in panels[0].lines}
    assert lines["clear faces"] == [0, 0.9, 0.7, 0.5, 0.3]
    assert lines["blurred faces"] == [0, -0.9, -0.7, -0.5, -0.3]
    assert panels[0].get_ylim() == panels[1].get_ylim()


def test_what_cannot_be_measured_is_reported(shared_run, demo_dir, tmp_path):
    def run(folder, data_dir=demo_dir, splits=None):
        robustness.run(str(folder), None, str(data_dir), [], splits, 10, str(tmp_path / "out"))

    with pytest.raises(ValueError, match="has no ranked split 'test7'; it has"):
        run(shared_run[1], splits=["test", "test7"])
    with pytest.raises(FileNotFoundError, match="prepare"):
        run(shared_run[1], data_dir=tmp_path)
    with pytest.raises(ValueError, match=tmp_path.name):
        run(tmp_path)
