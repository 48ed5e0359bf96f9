"""A picture's score depends on that picture alone."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import blur_jax
from blur_jax import data, train


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, demo_dir):
    from configs import default
    from conftest import shrink

    config = shrink(default.get_config(), demo_dir)
    config.steps, config.checkpoint_every = 4, 4
    folder = tmp_path_factory.mktemp("run")
    train.train(config, str(folder))
    return config, folder


@pytest.fixture(scope="module")
def loaded(run_dir):
    return blur_jax.load_scorer(run_dir[1])


@pytest.fixture(scope="module")
def images(run_dir):
    """uint8 [25, 32, 32, 3]."""
    split = data.open_split(run_dir[0].data, "ranked", "test")
    return split.images(range(len(split)))


def test_the_same_alone_in_a_batch_of_7_and_in_a_padded_batch_of_256(run_dir, loaded, images):
    alone = np.concatenate([loaded.score_images(images[index : index + 1]) for index in range(7)])
    of_7 = loaded.score_images(images[:7])
    in_threes = loaded.score_images(images[:7], batch_size=3)
    of_256 = loaded.score_images(np.resize(images, (256, *images.shape[1:])))[:7]
    assert np.ptp(alone) > 1e-5  # or nothing would be shown
    np.testing.assert_allclose(of_7, alone, atol=1e-6)
    np.testing.assert_allclose(in_threes, alone, atol=1e-6)
    np.testing.assert_allclose(of_256, alone, atol=1e-6)


def test_the_same_after_load_on_eight_devices(run_dir, loaded, images, subprocess_env, tmp_path):
    np.save(tmp_path / "images.npy", images)
    program = (
        "import jax, sys; jax.config.update('jax_num_cpu_devices', 8)\n"
        "import json, numpy as np\n"
        "import blur_jax\n"
        "scores = blur_jax.load_scorer(sys.argv[1]).score_images(np.load(sys.argv[2]), batch_size=16)\n"
        "print(json.dumps(scores.tolist()))\n"
    )
    command = [sys.executable, "-c", program, str(run_dir[1]), str(tmp_path / "images.npy")]
    output = subprocess.run(command, env=subprocess_env, capture_output=True, text=True, check=True).stdout
    np.testing.assert_allclose(json.loads(output), loaded.score_images(images), atol=1e-6)


def test_other_pictures_in_the_batch_change_nothing(loaded, images):
    np.testing.assert_allclose(
        loaded.score_images(np.stack([images[0], images[1]]))[0],
        loaded.score_images(np.stack([images[0], np.full_like(images[1], 255)]))[0],
        atol=1e-6,
    )


def test_files_arrays_and_pil_images_score_alike(loaded, images, tmp_path):
    big = Image.fromarray(images[0]).resize((80, 100), Image.Resampling.BICUBIC)
    big.save(tmp_path / "face.png")
    scores = loaded.score([tmp_path / "face.png", str(tmp_path / "face.png"), big, np.asarray(big)])
    assert scores.dtype == np.float32
    assert np.ptp(scores) == 0
    assert 0 < scores[0] < 1


def test_a_box_picks_the_face(loaded, images):
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 40:72] = images[0]
    found = loaded.score([wide, wide], boxes=[(40, 0, 32, 32), None])
    np.testing.assert_allclose(found[0], loaded.score_images(images[:1])[0], atol=1e-6)
    assert found[0] != found[1]


def test_many_pictures_are_scored_in_batches(loaded, images):
    whole = loaded.score(list(images), batch_size=64)
    np.testing.assert_allclose(loaded.score(list(images), batch_size=4), whole, atol=1e-6)
    assert whole.shape == (25,)
    assert loaded.score([]).shape == (0,)


def test_it_tells_what_it_is(run_dir, loaded):
    assert loaded.step == 4
    assert loaded.preprocessing.image_size == 32
    assert loaded.config.model.backbone == run_dir[0].model.backbone


@pytest.mark.parametrize(
    ("pictures", "boxes", "message"),
    [
        ("face.png", None, "takes a list"),
        ([np.zeros((8, 8, 3), np.float32)], None, r"uint8 \[H, W, 3\], not float32 \[8, 8, 3\]"),
        ([np.zeros((8, 8), np.uint8)], None, r"uint8 \[H, W, 3\]"),
        ([np.zeros((8, 8, 3), np.uint8)], [(0, 0, 9, 9)], "leaves the picture of 8 x 8"),
        ([np.zeros((8, 8, 3), np.uint8)], [], "0 boxes for 1 pictures"),
    ],
)
def test_what_is_no_picture_is_refused(loaded, pictures, boxes, message):
    with pytest.raises(ValueError, match=message):
        loaded.score(pictures, boxes=boxes)


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 32, 32, 3), np.float32), np.zeros((2, 20, 20, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)]
)
def test_prepared_images_of_another_kind_are_refused(loaded, wrong):
    with pytest.raises(ValueError, match=r"images must be uint8 \[n, 32, 32, 3\], not"):
        loaded.score_images(wrong)


def test_no_images_have_no_scores(loaded):
    assert loaded.score_images(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0,)


def test_an_error_says_which_picture(loaded, tmp_path):
    good = np.zeros((8, 8, 3), np.uint8)
    Image.fromarray(good).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match=r"picture 1 \(.*small\.png\): box .* leaves the picture of 8 x 8"):
        loaded.score([good, tmp_path / "small.png"], boxes=[None, (0, 0, 9, 9)])


def test_a_pil_image_that_would_lose_range_is_refused(loaded):
    with pytest.raises(ValueError, match="mode 'I;16' are not supported"):
        loaded.score([Image.fromarray(np.full((40, 40), 40000, np.uint16))])


def test_a_missing_file_is_named(loaded):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        loaded.score(["nowhere.jpg"])
