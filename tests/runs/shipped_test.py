"""The scorer that comes with the package. Rebuilding it takes 5 minutes of CPU, where its portraits are."""

import pickle

import numpy as np
import pytest
from PIL import Image

import blur_jax
from blur_jax.data.csv_tables import read_table
from blur_jax.models import pretrained
from blur_jax.runs import checkpoints
from blur_jax.runs.checkpoints import shipped
from blur_jax.shipped import DEFAULT, ENDING, FOLDER
from blur_jax.threshold import __main__ as threshold
from blur_jax.train import loop, start
from configs import folder, portraits, wider_blur
from experiments import ship
from tests.helpers import photos
from tests.helpers.paths import SHARED
from tfds_builders import prepare
from tfds_builders.demo_face_blur.builder import find_photographs


@pytest.fixture(scope="module")
def scorer():
    return blur_jax.load_scorer()


@pytest.fixture
def copy(tmp_path):
    file = tmp_path / f"copy{ENDING}"
    file.write_bytes((FOLDER / f"{DEFAULT}{ENDING}").read_bytes())
    return file


def test_blurred_faces_are_blurrier(scorer):
    files = list(find_photographs().values())[:40:10]  # Four people.
    sharp = [Image.open(file).convert("RGB") for file in files]
    blurred = [face.resize((23, 28)).resize(face.size) for face in sharp]
    scores = scorer.score([*sharp, *blurred])
    assert 0 < scores[:4].max() < 0.3 < 0.6 < scores[4:].min() < 1


def test_it_is_found_by_name_and_by_file_and_pickled(scorer, copy):
    assert scorer.path == str(FOLDER / f"{DEFAULT}.npz")
    for path in (DEFAULT, scorer.path, copy):
        assert blur_jax.load_scorer(path).fingerprint == scorer.fingerprint
    assert pickle.loads(pickle.dumps(scorer)).score_images(np.zeros((1, 128, 128, 3), np.uint8)).shape == (1,)
    assert scorer.threshold is None and scorer.calibration.scale > 0


@pytest.mark.parametrize("config", [wider_blur, folder])
def test_recipes_start_from_it(config):
    assert start.find_start(config.get_config()).path.endswith(f"{DEFAULT}.npz")


def test_damage_is_noticed(copy):
    saved = checkpoints.find(copy)
    with np.load(copy) as arrays:
        changed = dict(arrays)
    changed["head/kernel"] = changed["head/kernel"] + np.float32(1e-6)
    np.savez(copy, **changed)
    with pytest.raises(checkpoints.CheckpointError, match="does not match its checksum"):
        checkpoints.load_network(saved)
    copy.write_bytes(copy.read_bytes()[:1000])
    with pytest.raises(checkpoints.CheckpointError, match=r"copy\.npz: not a blur_jax scorer, or a damaged one"):
        checkpoints.find(copy)
    with pytest.raises(checkpoints.CheckpointError, match=r"none\.npz"):
        checkpoints.find("none.npz")


def test_a_written_run_scores_as_before(tmp_path):
    """Whatever its head's features depend on, such as the attention, is written, too."""
    saved = checkpoints.find(DEFAULT)
    model, params = checkpoints.load_network(saved)
    kernel = np.random.default_rng(0).normal(size=params["attention"]["weights"]["kernel"].shape).astype(np.float32)
    params = params | {"attention": {"weights": {**params["attention"]["weights"], "kernel": kernel}}}
    shipped.write(tmp_path / "a.npz", saved, params)
    _, again = checkpoints.load_network(checkpoints.find(tmp_path / "a.npz"))
    assert checkpoints.fingerprint(again) == checkpoints.fingerprint(params)


def test_a_trained_backbone_is_refused(shared_run, tmp_path):
    _, run = shared_run
    saved = checkpoints.find(run)
    with pytest.raises(ValueError, match="no ImageNet weights"):
        shipped.write(tmp_path / "a.npz", saved, checkpoints.load_network(saved)[1])
    saved = checkpoints.find(DEFAULT)
    params = checkpoints.load_network(saved)[1]
    params["backbone"]["stem"]["bias"] = params["backbone"]["stem"]["bias"] + 1
    with pytest.raises(ValueError, match="the backbone was trained"):
        shipped.write(tmp_path / "a.npz", saved, params)
    assert not (tmp_path / "a.npz").exists()


def test_a_threshold_is_printed_and_not_stored(tmp_path, capsys):
    before = sorted(FOLDER.iterdir())
    for seed in range(4):
        photos.save(tmp_path, f"{seed}.png", seed)
    assert threshold.main(["--discard=0.5", str(tmp_path)]) == 0
    assert "to use this threshold, pass --keep-below=0." in capsys.readouterr().out
    assert sorted(FOLDER.iterdir()) == before


def test_every_portrait_has_a_license():
    with open(FOLDER / f"{DEFAULT}.csv", "rb") as file:
        rows = [fields for _, fields in read_table(file, "table", ("name", "source", "license"))]
    assert len(rows) == len({row["name"] for row in rows}) == 1684
    licenses = {(row["source"], row["license"]) for row in rows}
    assert licenses == {
        ("us-officials", "public domain"),
        ("us-congress", "public domain"),
        ("london-canada", "CC BY 4.0"),
    }
    card = (FOLDER / f"{DEFAULT}.md").read_text()
    assert "CC BY 4.0" in card and all(source in card for source, _ in licenses)


@pytest.mark.skipif(not (SHARED / "portraits").is_dir(), reason="the portraits are not here")
def test_it_is_what_its_command_makes(tmp_path, scorer):
    config = portraits.get_config()
    config.data.dir, config.data.manual_dir = str(tmp_path / "data"), str(SHARED / "portraits")
    config.data.sources = prepare.prepare_configured(config.data, ("labeled", "unlabeled"))
    assert loop.train(config, str(tmp_path / "run"))
    ship.ship(str(tmp_path / "run"), str(SHARED / "portraits"), str(tmp_path))
    made, there = (checkpoints.load_network(checkpoints.find(f))[1] for f in (tmp_path / f"{DEFAULT}.npz", DEFAULT))
    # Compiled without most optimizations in tests, the views round differently.
    np.testing.assert_allclose(
        made["head"]["kernel"], there["head"]["kernel"], atol=0.01 * there["head"]["kernel"].std()
    )
    assert (tmp_path / f"{DEFAULT}.csv").read_bytes() == (FOLDER / f"{DEFAULT}.csv").read_bytes()


def test_the_backbone_is_as_installed(scorer):
    saved = checkpoints.find(DEFAULT)
    model, params = checkpoints.load_network(saved)
    untrained = pretrained.load("efficientnet_lite0", start.initial_params(saved.config, model))
    assert checkpoints.fingerprint(untrained["backbone"]) == checkpoints.fingerprint(params["backbone"])
