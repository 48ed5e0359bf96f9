import dataclasses
import json
import math
import statistics
import types

import jax
import numpy as np
import pytest
import runs
from conftest import shrink
from PIL import Image

from benchmarks import sensitivity
from benchmarks.sensitivity import CHANGES, Change, Faces
from blur_jax import checkpoints, optimizer, scorer, train_state
from blur_jax.preprocessing import Preprocessing
from configs import default

# 20 x 20, columns from the 11th on lighter.
EDGE = np.full((20, 20, 3), 50, np.uint8)
EDGE[:, 10:] = 150
FLAT = np.full((64, 64, 3), 128, np.uint8)


def grainy(seed, side=32):
    """A picture with detail of all sizes."""
    random = np.random.default_rng(seed)
    patches = random.integers(60, 190, (side // 8, side // 8, 3))
    return np.uint8(np.kron(patches, np.ones((8, 8, 1))) + random.integers(-25, 25, (side, side, 1)))


def apply(name, face, strength):
    """By the start of the change's name."""
    (change,) = (change for key, change in CHANGES.items() if key.startswith(name))
    return change.apply(face, strength)


# --- changes, worked out by hand ---


@pytest.mark.parametrize("name", [name for name in CHANGES if not name.startswith("crop")])
def test_the_neutral_strength_leaves_a_face_as_it_is(name):
    np.testing.assert_array_equal(CHANGES[name].apply(grainy(0), CHANGES[name].neutral), grainy(0))


@pytest.mark.parametrize("name", CHANGES)
def test_any_other_strength_gives_another_picture_always_the_same(name):
    change, face = CHANGES[name], grainy(0)
    pictures = [change.apply(face, strength) for strength in change.strengths]
    assert {(picture.dtype.name, picture.shape) for picture in pictures} == {("uint8", (32, 32, 3))}
    assert len({picture.tobytes() for picture in pictures}) == len(change.strengths)
    np.testing.assert_array_equal(face, grainy(0))
    np.testing.assert_array_equal(change.apply(face, change.strengths[-1]), pictures[-1])


def test_brightness_multiplies_and_clips():
    assert (apply("brightness", FLAT, 0.5) == 64).all()
    assert (apply("brightness", FLAT, 2) == 255).all()


def test_contrast_is_about_the_mean_gray():
    # The mean is 100; 50 and 150 are 50 away from it.
    halved = apply("contrast", EDGE, 0.5)
    assert (halved[:, :10] == 75).all() and (halved[:, 10:] == 125).all()
    more = apply("contrast", EDGE, 1.4)
    assert (more[:, :10] == 30).all() and (more[:, 10:] == 170).all()


def test_noise_has_the_deviation_it_says_and_differs_between_channels_and_faces():
    grain = apply("noise", FLAT, 10) - 128.0
    # 12,288 draws: the mean is good to 10 / sqrt(12288) = 0.09, the deviation to 0.07.
    assert abs(grain.mean()) < 0.4 and abs(grain.std() - 10) < 0.3
    other = apply("noise", FLAT - 1, 10) - 127.0
    for a, b in ((grain[..., 0], grain[..., 1]), (grain, other)):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.08


def test_sharpening_overshoots_at_an_edge_and_nowhere_else():
    once, twice = (apply("over-sharpening", EDGE, percent)[0, :, 0].astype(int) for percent in (100, 200))
    dark, light = 50 - once[9], once[10] - 150
    # What a Gaussian of 2 pixels brings over the edge, Phi(-0.5 / 2) of 100 at the center of the next pixel.
    assert dark == pytest.approx(100 * statistics.NormalDist().cdf(-0.25), abs=3)
    assert abs(dark - light) <= 1
    assert 50 - twice[9] == pytest.approx(min(2 * dark, 50), abs=1)
    assert twice[10] - 150 == pytest.approx(2 * light, abs=1)
    assert once[0] == twice[0] == 50 and once[-1] == twice[-1] == 150


def test_jpeg_keeps_mid_gray_and_loses_more_at_lower_quality():
    assert (apply("JPEG", FLAT, 30) == 128).all()  # All of its coefficients are 0.
    losses = [np.abs(apply("JPEG", grainy(1), q) - grainy(1).astype(float)).mean() for q in (90, 70, 50, 30)]
    assert 0 < losses[0] < losses[1] < losses[2] < losses[3]


def test_upscaling_loses_what_is_finer_than_its_pixels():
    checkers = np.uint8(np.indices((32, 32)).sum(axis=0) % 2 * 200)
    changed = apply("down and up", np.stack([checkers] * 3, axis=-1), 2)
    # Each reduced pixel weighs even and odd columns alike.
    assert (np.abs(changed[8:-8, 8:-8] - 100.0) <= 1).all()
    assert (apply("down and up", FLAT, 3) == 128).all()


def test_crop_shift_moves_the_crop():
    # The central crop has columns 2 to 17: 8 of its 16 are light. Moved by 10% of 20 it has 10 or 6 of them.
    for percent, light in ((0, 8), (10, 10), (-10, 6)):
        right, down = (apply(f"crop shifted {way}", EDGE, percent).mean() for way in ("right", "down"))
        assert right == pytest.approx(50 + 100 * light / 16, abs=1)
        assert down == pytest.approx(100, abs=1)
    turned = apply("crop shifted down", EDGE.transpose(1, 0, 2), 10).mean()
    assert turned == pytest.approx(50 + 100 * 10 / 16, abs=1)


@pytest.mark.parametrize("side", [32, 33, 96, 128])
def test_crops_stay_inside_the_picture(side):
    face = grainy(2, side=128)[:side, :side]
    for way in ("right", "down"):
        for percent in (-10, 10):
            assert apply(f"crop shifted {way}", face, percent).shape == (side, side, 3)


def test_gaussian_blur_of_an_edge_in_linear_light():
    face = np.zeros((64, 64, 3), np.uint8)
    face[:, 32:] = 255
    # R.m.s. radius sqrt(2) times the deviation along an axis, here 2 pixels.
    changed = apply("Gaussian blur", face, 2 * math.sqrt(2) / 64)
    for column in (29, 31, 32, 34, 36):
        light = statistics.NormalDist(mu=31.5, sigma=2).cdf(column)
        expected = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
        assert np.ptp(changed[:, column]) == 0
        assert changed[0, column, 0] == pytest.approx(expected, abs=3)


# --- readings ---


def test_a_run_is_read_by_the_logits_of_its_scores():
    scorer = types.SimpleNamespace(score_prepared=lambda images, batch_size: np.float32(images[:, 0, 0, 0] / 200))
    images = np.zeros((300, 2, 2, 3), np.uint8)  # More than one batch.
    images[:, 0, 0, 0] = np.arange(300) % 201
    readings = sensitivity.read_by_run(scorer, images)
    assert readings.shape == (300,)
    assert readings[100] == 0
    assert readings[150] == pytest.approx(math.log(3)) and readings[251] == pytest.approx(-math.log(3))
    # Clipped: a score of 0 is read as 1e-6, of 1 as 1 - 1e-6.
    assert readings[[201, 200]] == pytest.approx([-math.log(1e6), math.log(1e6)], abs=1e-4)


def test_a_rival_is_read_by_minus_the_logarithm():
    readings = sensitivity.read_by_rival(lambda image: float(image.mean()), np.stack([FLAT, 0 * FLAT]))
    np.testing.assert_allclose(readings, [-math.log(128), math.log(1e6)])


def open_fake(monkeypatch, splits):
    def open_split(config, kind, split):
        example = {"image": FLAT, "rank": float(split[-1]), "size": 40.0, "name": split}
        return types.SimpleNamespace(examples=[example, example | {"rank": 9.0}])

    monkeypatch.setattr(sensitivity.data, "split_names", lambda config, kind: splits)
    monkeypatch.setattr(sensitivity.data, "open_split", open_split)


@pytest.mark.parametrize(
    ("available", "asked", "found"),
    [
        (["test1", "test2", "test3"], None, ["test1", "test2"]),
        (["test1", "test2", "test3"], ["test3"], ["test3"]),
        (["test8", "test9"], None, ["test8", "test9"]),
    ],
)
def test_which_splits_are_read(monkeypatch, available, asked, found):
    open_fake(monkeypatch, available)
    faces = sensitivity.read_faces(None, asked)
    assert list(faces.splits) == found
    assert faces.images.shape == (2 * len(found), 64, 64, 3)
    assert faces.ranks.tolist() == [rank for split in found for rank in (float(split[-1]), 9.0)]
    assert faces.splits[found[-1]] == slice(2 * len(found) - 2, 2 * len(found))
    # The lowest rank of each split, not of all.
    expected = [True, False] * len(found) if found[-1] != "test9" else [True, False, True, True]
    assert faces.clear.tolist() == expected


# --- measuring ---


def gray_faces(grays, ranks):
    images = np.stack([np.full((8, 8, 3), gray, np.uint8) for gray in grays])
    return Faces(images, np.array(ranks), np.full(len(grays), 40.0), {"test": slice(0, len(grays))})


def mean_gray(images):
    return images.mean(axis=(1, 2, 3))


def test_shifts_are_shares_of_the_gap(monkeypatch):
    faces = gray_faces([90, 110, 130, 150], [0.0, 0.0, 1.0, 2.0])  # Clear ones read 100, blurred 140.
    lighter = Change(lambda face, strength: face + np.uint8(strength), (0, 10), 0)
    turned = Change(lambda face, strength: 255 - face if strength else face, (False, True), False)
    later = Change(lambda face, strength: face + np.uint8(strength), (10, 20), 10)
    monkeypatch.setattr(sensitivity, "CHANGES", {"lighter": lighter, "turned": turned, "later": later})
    found = sensitivity.measure(mean_gray, faces, resamples=20)
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


def test_images_alike_are_read_once(monkeypatch):
    faces = gray_faces([100, 140], [0.0, 1.0])
    change = Change(lambda face, strength: face + np.uint8(strength), (0, 10), 0)
    monkeypatch.setattr(sensitivity, "CHANGES", {"once": change, "again": change})
    seen = []
    found = sensitivity.measure(lambda images: seen.append(images) or mean_gray(images), faces, resamples=5)
    assert [int(images[0, 0, 0, 0]) for images in seen] == [100, 110]
    assert found["changes"]["once"] == found["changes"]["again"]


def test_auc_is_the_mean_over_splits(monkeypatch):
    monkeypatch.setattr(sensitivity, "CHANGES", {})
    faces = gray_faces([100, 140, 120, 110], [0.0, 1.0, 0.0, 1.0])
    faces = dataclasses.replace(faces, splits={"test1": slice(0, 2), "test2": slice(2, 4)})
    # Right in the first, wrong in the second; over all at once it would be 3 of 4.
    assert sensitivity.measure(mean_gray, faces, resamples=20)["auc"]["value"] == 0.5


def test_a_measure_of_gradients_takes_noise_and_sharpening_for_sharpness():
    random = np.random.default_rng(0)
    sharp = [grainy(seed) for seed in range(8)]
    blurred = [sensitivity.gaussian_blur(face, 0.03 + 0.02 * random.random()) for face in sharp]
    faces = Faces(np.stack(sharp + blurred), np.repeat([0.0, 1.0], 8), np.full(16, 40.0), {"test": slice(0, 16)})

    def gradient(image):
        return float(np.abs(np.diff(image.astype(float), axis=1)).mean())

    found = sensitivity.measure(lambda images: sensitivity.read_by_rival(gradient, images), faces, resamples=20)
    said = {name: sensitivity.verdict(rows, blurs=CHANGES[name].blurs) for name, rows in found["changes"].items()}
    starts = {name.split(" (")[0]: words for name, words in said.items()}
    assert starts["Gaussian blur"].startswith("blurrier at every step, +")
    assert starts["down and up again"].startswith("blurrier at every step, +")
    assert starts["noise"].startswith("FINDING: taken for sharpness; blurred faces at least -")
    assert starts["over-sharpening"].startswith("FINDING: taken for sharpness; blurred faces at least -")
    assert starts["crop shifted right"].startswith("hardly matters")
    # Half the contrast halves all gradients: both groups move by log 2.
    (contrast,) = (rows for name, rows in found["changes"].items() if name.startswith("contrast"))
    gap = found["blurred"] - found["clear"]
    assert contrast[0]["clear"] == pytest.approx(math.log(2) / gap, rel=0.1)
    assert contrast[0]["blurred"] == pytest.approx(math.log(2) / gap, rel=0.1)


@pytest.mark.parametrize(
    ("grays", "ranks", "message"),
    [
        ([140, 100], [0.0, 1.0], "me: blurred faces read 100.000 on average, clear ones 140.000, .* above 0"),
        ([100, 100], [0.0, 1.0], "must be above 0"),
        ([100, 140], [1.0, 1.0], "test has no clear and blurred faces of like size; see --splits"),
    ],
)
def test_without_a_gap_there_is_no_unit(grays, ranks, message):
    with pytest.raises(ValueError, match=message):
        sensitivity.measure(mean_gray, gray_faces(grays, ranks), resamples=5, label="me")


def test_faces_of_other_sizes_are_not_compared():
    faces = dataclasses.replace(gray_faces([100, 140], [0.0, 1.0]), sizes=np.array([200.0, 20.0]))
    with pytest.raises(ValueError, match="no clear and blurred faces of like size"):
        sensitivity.measure(mean_gray, faces, resamples=5)


# --- telling ---


def rows_of(*shifts):
    """Rows at strengths 1, 2, ... of shifts (clear, blurred)."""
    return [
        {"strength": index + 1, "clear": clear, "blurred": blurred, "all": (clear + blurred) / 2}
        for index, (clear, blurred) in enumerate(shifts)
    ]


@pytest.mark.parametrize(
    ("shifts", "words"),
    [
        ([(0.2, 0.1), (0.8, 0.4)], "blurrier at every step, +0.15 to +0.60"),
        ([(0.2, 0.1), (0.1, 0.1), (0.3, 0.2)], "FINDING: no blurrier than one step before at 2"),
        ([(-0.2, 0.1), (-0.4, 0.2)], "FINDING: no blurrier than one step before at 1, 2"),
    ],
)
def test_blur_must_raise_the_score_at_every_step(shifts, words):
    assert sensitivity.verdict(rows_of(*shifts), blurs=True) == words


@pytest.mark.parametrize(
    ("shifts", "words"),
    [
        (
            [(0.05, -0.02), (-0.9, 0.9)],
            "hardly matters; blurred faces at least -0.02 (at 1), clear faces at most +0.05",
        ),
        ([(0.0, -0.05), (0.1, -0.2)], "partly taken for sharpness; blurred faces at least -0.20 (at 2)"),
        (
            [(0.3, 0.3), (0.4, 0.2)],
            "partly taken for blur; blurred faces at least +0.20 (at 2), clear faces at most +0.40",
        ),
        ([(0.0, -0.6), (0.05, -0.4)], "FINDING: taken for sharpness; blurred faces at least -0.60 (at 1)"),
        ([(0.2, -0.6)], "FINDING: taken for sharpness and blur;"),
    ],
)
def test_other_changes_must_not_be_taken_for_either(shifts, words):
    assert sensitivity.verdict(rows_of(*shifts), blurs=False).startswith(words)


# --- the command ---


@pytest.fixture(scope="module")
def run_dirs(tmp_path_factory, demo_dir):
    """Two checkpoints of an untrained network, one scoring upside down: (better, worse)."""
    config = shrink(default.get_config(), demo_dir)
    params = runs.initial_params(config)
    folders = []
    for sign in (1, -1):
        folders.append(str(tmp_path_factory.mktemp("run")))
        head = {key: np.asarray(sign * value) for key, value in params["head"].items()}
        state = train_state.create(params | {"head": head}, optimizer.build(config.optimizer, config.steps), ema=False)
        saving = checkpoints.Checkpoints(folders[-1], keep=1)
        record = {"config": json.loads(config.to_json()), "preprocessing": Preprocessing(image_size=32)}
        saving.save(jax.device_get(state), validation_accuracy=0.5, **record)
        saving.close()
    faces = sensitivity.read_faces(config.data)
    readings = sensitivity.read_by_run(scorer.load_scorer(folders[0]), faces.images)
    return folders if readings[~faces.clear].mean() > readings[faces.clear].mean() else folders[::-1]


def test_the_command(run_dirs, demo_dir, tmp_path, capsys):
    rival, run, out = "variance of the Laplacian", run_dirs[0], tmp_path / "out"
    arguments = [f"--run={run}", f"--data_dir={demo_dir}", f"--workdir={out}", f"--rival={rival}", "--resamples=10"]
    sensitivity.main(arguments)

    results = json.loads((out / "sensitivity.json").read_text())
    assert results["splits"] == ["test"] and results["faces"] == 25 and 0 < results["clear"] < 25
    assert list(results["scorers"]) == [run, rival]
    for found in results["scorers"].values():
        for name, rows in found["changes"].items():
            assert len(rows) == len(CHANGES[name].strengths) - 1
        assert [row["strength"] for row in found["changes"]["JPEG (quality)"]] == [90, 70, 50, 30]
    ofrival = results["scorers"][rival]["changes"]
    blur, noise = (ofrival[name] for name in ofrival if name.startswith(("Gaussian", "noise")))
    assert all(row["clear"] > 0 and row["blurred"] > 0 for row in blur)
    assert all(row["clear"] < 0 and row["blurred"] < 0 for row in noise)

    printed = capsys.readouterr().out
    assert printed.count("\n| JPEG (quality) | ") == 2 * (1 + 4)
    assert {line.count("|") for line in printed.splitlines()} == {0, 4, 8}
    assert f"**{rival}**" in printed and f"**{run}**" in printed
    with Image.open(out / "sensitivity.webp") as picture:
        assert picture.format == "WEBP" and picture.size == (1100, 770)


def test_a_panel_for_each_change(monkeypatch):
    monkeypatch.setattr(
        sensitivity, "CHANGES", {"JPEG": CHANGES["JPEG (quality)"], "other": CHANGES["noise (sigma of 255)"]}
    )
    rows = [{"strength": q, "clear": q / 100, "blurred": -q / 100} for q in (90, 70, 50, 30)]
    noise = [{"strength": s, "clear": 0.0, "blurred": 1.0} for s in (2, 5, 10, 20)]
    panels = sensitivity.draw({"changes": {"JPEG": rows, "other": noise}}).axes
    assert [panel.get_title("left") for panel in panels] == ["JPEG", "other"]
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == ["none", "90", "70", "50", "30"]
    lines = {line.get_label(): list(line.get_ydata()) for line in panels[0].lines}
    assert lines["clear faces"] == [0, 0.9, 0.7, 0.5, 0.3]
    assert lines["blurred faces"] == [0, -0.9, -0.7, -0.5, -0.3]
    assert panels[0].get_ylim() == panels[1].get_ylim()


def test_what_cannot_be_measured_is_told(run_dirs, demo_dir, tmp_path, capsys):
    run, there = f"--run={run_dirs[0]}", f"--data_dir={demo_dir}"
    with pytest.raises(SystemExit, match="sensitivity.py: .*: blurred faces read .* must be above 0"):
        sensitivity.main([f"--run={run_dirs[1]}", there, "--resamples=10"])
    with pytest.raises(SystemExit, match="sensitivity.py: .*has no split 'test7'; it has"):
        sensitivity.main([run, there, "--splits=test,test7"])
    with pytest.raises(SystemExit, match="sensitivity.py: no prepared data set in .*prepare it with"):
        sensitivity.main([run, f"--data_dir={tmp_path}"])
    with pytest.raises(SystemExit, match=f"sensitivity.py: .*{tmp_path.name}"):
        sensitivity.main([f"--run={tmp_path}", there])
    with pytest.raises(SystemExit):
        sensitivity.main([run, there, "--rival=nobody"])
    assert "invalid choice: 'nobody'" in capsys.readouterr().err
