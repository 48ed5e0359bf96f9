"""A picture's score depends on that picture alone."""

import json
import weakref

import numpy as np
import pytest
from PIL import Image

import blur_jax
from blur_jax.runs.threshold import Threshold, threshold_path, write_threshold
from tests.helpers import forked


@pytest.fixture(scope="module")
def images():
    """uint8 [25, 32, 32, 3], each of other noise."""
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(0, 10 * index + 10, (32, 32, 3), np.uint8) for index in range(25)])


def test_the_same_alone_in_a_batch_of_7_and_in_a_padded_batch_of_256(scorer, images):
    alone = np.concatenate([scorer.score_images(images[index : index + 1]) for index in range(7)])
    of_7 = scorer.score_images(images[:7])
    in_threes = scorer.score_images(images[:7], batch_size=3)
    of_256 = scorer.score_images(np.resize(images, (256, *images.shape[1:])))[:7]
    assert np.ptp(alone) > 1e-5  # or nothing would be shown
    of_others = scorer.score_images(np.concatenate([images[:1], np.full_like(images[:6], 255)]))
    for found in (of_7, in_threes, of_256):
        np.testing.assert_allclose(found, alone, atol=1e-6)
    np.testing.assert_allclose(of_others[0], alone[0], atol=1e-6)
    assert scorer.score_images(images[:0]).shape == (0,)


def test_pictures_may_come_as_a_list_a_generator_or_an_array(scorer, images):
    expected = scorer.score(list(images))
    np.testing.assert_allclose(expected, scorer.score_images(images), atol=1e-6)
    np.testing.assert_allclose(scorer.score(list(images), batch_size=7), expected, atol=1e-6)
    np.testing.assert_array_equal(scorer.score(image for image in images), expected)
    np.testing.assert_array_equal(scorer.score(images), expected)
    assert scorer.score([]).shape == (0,)


def test_the_same_after_load_on_eight_devices(run, scorer, images, tmp_path):
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index:02}.png")
    program = (
        "import jax, sys; jax.config.update('jax_num_cpu_devices', 8)\n"
        "import glob, json, blur_jax\n"
        "scorer, files = blur_jax.load_scorer(sys.argv[1]), sorted(glob.glob(sys.argv[2] + '/*.png'))\n"
        "print(json.dumps([scorer.score(files, batch_size=size).tolist() for size in (7, 256)]))\n"
    )
    output, _ = forked.script(tmp_path, program, str(run), str(tmp_path)).communicate()
    for scores in json.loads(output):
        np.testing.assert_allclose(scores, scorer.score_images(images), atol=1e-6)


def test_files_arrays_and_pil_images_score_alike(scorer, images, tmp_path):
    big = Image.fromarray(images[0]).resize((80, 100), Image.Resampling.BICUBIC)
    big.save(tmp_path / "face.png")
    scores = scorer.score([tmp_path / "face.png", str(tmp_path / "face.png"), big, np.asarray(big)])
    assert scores.dtype == np.float32
    assert np.ptp(scores) == 0
    assert 0 < scores[0] < 1


def test_a_box_picks_the_face(scorer, images):
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 40:72] = images[0]
    found = scorer.score([wide, wide], boxes=[(40, 0, 32, 32), None])
    np.testing.assert_allclose(found[0], scorer.score_images(images[:1])[0], atol=1e-6)
    assert found[0] != found[1]


def test_16_bit_gray_and_transparent_pictures_score_as_what_they_show(scorer, images):
    gray = np.asarray(Image.fromarray(images[0]).convert("L"))
    opaque = np.dstack([images[0], np.full(images[0].shape[:2], 255, np.uint8)])
    scores = scorer.score([gray, gray.astype(np.uint16) * 257, np.stack([gray] * 3, -1), images[0], opaque])
    assert np.ptp(scores[:3]) == 0
    assert scores[3] == scores[4]


def test_a_lazy_image_given_twice_is_decoded_once(scorer, images, tmp_path):
    Image.fromarray(images[0]).save(tmp_path / "face.png")
    with Image.open(tmp_path / "face.png") as lazy:
        assert np.ptp(scorer.score([lazy] * 20)) == 0


def test_a_stream_goes_on_after_a_bad_picture(scorer, images):
    pairs = [(images[0], None), ("gone.jpg", None), (images[0], (0, 0, 99, 99)), (images[1], None)]
    given, results = zip(*scorer.score_each(pairs))
    assert all(back is pair for back, pair in zip(given, pairs))
    expected = scorer.score_images(images[:2])
    assert [result.blur for result in results] == [expected[0], None, None, expected[1]]
    assert results[1].error == "the file does not exist"
    assert "extends beyond the 32 x 32 picture" in results[2].error


def test_score_keeps_few_pictures_of_a_generator_in_memory(scorer):
    alive, most = weakref.WeakSet(), 0

    class Picture(np.ndarray):  # A plain array is not hashable.
        __hash__ = object.__hash__

    def pictures():
        nonlocal most
        for _ in range(200):
            picture = GOOD.copy().view(Picture)
            alive.add(picture)
            most = max(most, len(alive))
            yield picture

    scorer.score(pictures(), batch_size=100)
    assert most < 50


def test_it_tells_what_it_is(run, scorer):
    assert scorer.step == 7
    assert scorer.preprocessing.image_size == 32
    assert scorer.config.model.backbone == "small"
    assert len(scorer.fingerprint) == 16
    assert scorer.fingerprint == blur_jax.load_scorer(run).fingerprint
    assert scorer.calibration.reference == "a test"


def test_columns_of_scores(scorer):
    columns = scorer.columns(np.array([0.25, 0.5, np.nan], np.float32), keep_below=0.5)
    assert list(columns)[:3] == ["blur", "sharpness", "blur_percentile"]
    assert columns["sharpness"][:2].tolist() == [75, 50]
    assert list(columns)[-1] == "keep" and columns["keep"].tolist() == ["keep", "discard", ""]
    assert "keep" not in scorer.columns(np.zeros(1, np.float32))  # The run has no threshold.


def test_the_threshold_of_the_run_counts_and_one_of_another_checkpoint_does_not(run, scorer):
    try:
        write_threshold(run, Threshold(0.5, "a test", scorer.fingerprint))
        fresh = blur_jax.load_scorer(run)
        assert fresh.threshold.keep_below == 0.5
        assert fresh.columns(np.float32([0.4, 0.6]))["keep"].tolist() == ["keep", "discard"]
        assert fresh.columns(np.float32([0.4, 0.6]), keep_below=0.3)["keep"].tolist() == ["discard", "discard"]
        write_threshold(run, Threshold(0.5, "a test", "0" * 16))
        other = blur_jax.load_scorer(run)
        with pytest.raises(ValueError, match="not for the loaded checkpoint"):
            other.columns(np.float32([0.4]))
        assert other.columns(np.float32([0.4]), keep_below=0.5)["keep"].tolist() == ["keep"]
    finally:
        threshold_path(run).unlink()


GOOD = np.zeros((20, 20, 3), np.uint8)


@pytest.mark.parametrize(
    ("pictures", "boxes", "message"),
    [
        ("face.png", None, r"takes a list of pictures, not str; pass \[picture\]"),
        (Image.fromarray(GOOD), None, "takes a list of pictures, not Image"),
        (GOOD, None, "takes a list of pictures, not ndarray"),
        (7, None, "takes a list of pictures, not int"),
        ([7], None, "picture 0: a picture must be a path, bytes, a PIL image or an array, not int"),
        ([GOOD.astype(np.float32)], None, r"shape \[H, W\], .* not float32 \[20, 20, 3\]"),
        ([GOOD], [(0, 0, 21, 21)], "extends beyond the 20 x 20"),
        ([GOOD[:, :10]], None, "too small to judge"),
        ([GOOD], [], "0 boxes for 1 pictures"),
        (iter([GOOD, GOOD]), [None], "more pictures than boxes"),
        (iter([GOOD]), [None, None], "more boxes than pictures"),
    ],
)
def test_what_is_no_picture_is_refused(scorer, pictures, boxes, message):
    with pytest.raises(ValueError, match=message):
        scorer.score(pictures, boxes=boxes)


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 32, 32, 3), np.float32), np.zeros((2, 20, 20, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)]
)
def test_prepared_images_of_another_kind_are_refused(scorer, wrong):
    with pytest.raises(ValueError, match=r"images must be uint8 \[n, 32, 32, 3\], not"):
        scorer.score_images(wrong)


def test_an_error_says_which_picture(scorer, tmp_path):
    Image.fromarray(GOOD).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match=r"picture 1 \(.*small\.png\): box .* extends beyond the 20 x 20 picture"):
        scorer.score([GOOD, tmp_path / "small.png"], boxes=[None, (0, 0, 21, 21)])
    with pytest.raises(FileNotFoundError, match=r"picture 0 \(nowhere\.jpg\): the file does not exist"):
        scorer.score(["nowhere.jpg"])
