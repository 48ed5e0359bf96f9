"""Portraits rendered with known blur. One small data set, prepared once: 15 s of CPU."""

import numpy as np
import pytest

from blur_jax.data import splits
from blur_jax.data.preprocessing import Preprocessing, crop_and_resize
from configs import portraits
from tests.helpers import photos
from tfds_builders import prepare
from tfds_builders.portrait_blur import builder, rendering
from tfds_builders.problems import ReleaseError

PROTOCOL = Preprocessing(image_size=32)
BOX = (10, 8, 40, 36)
COUNT = 40


def make(root, count=COUNT):
    for seed in range(count):
        photos.save(root, f"images/p{seed}.png", seed)
    boxes = [f"p{seed}.png,{','.join(map(str, BOX))},town,CC0" for seed in range(count)]
    photos.write(root, "boxes.csv", "name,x,y,width,height,source,license", *boxes)
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """`config.data` of a prepared folder of portraits."""
    folder = tmp_path_factory.mktemp("portraits")
    options = {"data_dir": str(folder / "tfds"), "preprocessing": PROTOCOL, "manual_dir": str(make(folder / "photos"))}
    config = portraits.get_config().data
    config.update(dir=options["data_dir"], image_size=32, sources=prepare.prepare("portrait_blur", **options).sources)
    return config


def parts(name):
    """'p3.png gaussian 0.0123 64px' -> portrait, family, width of blur in face widths."""
    portrait, family, rms, side = name.split(" ")
    return portrait, family, np.hypot(float(rms), rendering.PIXEL / int(side.removesuffix("px")))


def portraits_of(data, kind, split):
    return {name.split(" ")[0] for name in splits.open_split(data, kind, split).names.ravel()}


def test_no_portrait_is_in_two_splits(data):
    sets = [portraits_of(data, *part) for part in (("labeled", "train"), ("labeled", "validation"), ("ranked", "test"))]
    assert [len(each) for each in sets] == [34, 4, 2]
    assert len(set.union(*sets)) == COUNT
    assert portraits_of(data, "unlabeled", "train") == sets[0]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_blurrier_view_of_two_portraits_is_visibly_blurrier(data, split):
    pairs = splits.open_split(data, "labeled", split)
    assert len(pairs) == builder.PAIRS_PER_VIEW * builder.VIEWS * {"train": 34, "validation": 4}[split]
    assert set(pairs.labels) == {-1, 1}
    for order, (left, right) in zip(pairs.labels, pairs.names):
        (portrait, _, width), (other, _, wider) = parts(left), parts(right)
        assert portrait != other
        assert (wider / width) ** order > 1.24  # Names are rounded.


def test_ranks_are_the_widths_of_the_views(data):
    ranked = splits.open_split(data, "ranked", "test")
    for name, rank, row in zip(ranked.names, ranked.labels, ranked.rows):
        assert rank == pytest.approx(parts(name)[2], abs=1e-4)
        assert ranked.faces.names[row] == name
        assert ranked.faces.groups[row] == parts(name)[1]


def test_unlabeled_portraits_are_not_rendered(data):
    unlabeled = splits.open_split(data, "unlabeled", "train")
    for name, row in zip(unlabeled.names.ravel(), unlabeled.rows.ravel()):
        original = photos.picture(int(name[1:-4]))
        np.testing.assert_array_equal(unlabeled.faces.images[row], crop_and_resize(original, BOX, PROTOCOL))


def test_wider_blur_leaves_less_detail(data):
    """Over the views of many portraits, detail and width go apart."""
    pairs = splits.open_split(data, "labeled", "train")
    images = pairs.faces.stack(np.unique(pairs.rows)).astype(np.float32).mean(-1)
    detail = np.abs(np.diff(images, axis=2)).mean((1, 2)) / images.std((1, 2))
    widths = [parts(name)[2] for name in np.array(pairs.faces.names)[np.unique(pairs.rows)]]
    assert np.corrcoef(np.log(widths), np.log(detail))[0, 1] < -0.1


def test_a_view_depends_on_its_portrait_alone():
    names = ["a.png", "b.png"]
    assert builder._views(names)[builder.VIEWS :] == builder._views(names[1:])
    views = builder._views(names)
    assert len(set(views)) == len(views) == 2 * builder.VIEWS
    assert all(rendering.RMS_MIN <= view.rms <= rendering.RMS_MAX for view in views)


def view(**changes):
    plain = {"tilt": 0.0, "shift": (0.0, 0.0), "scale": 1.0, "noise": 0.0, "quality": 100}
    return rendering.View("a.png", 1, "gaussian", 0.02, 32, **plain | changes)


def test_a_crop_follows_tilt_shift_and_scale_inside_the_picture():
    image = photos.picture(0)
    plain = rendering.crop(image, BOX, view(), PROTOCOL)
    np.testing.assert_array_equal(plain, crop_and_resize(image, (10, 6, 40, 40), PROTOCOL))
    moved = rendering.crop(image, BOX, view(shift=(0.1, 0.0)), PROTOCOL)
    np.testing.assert_array_equal(moved, crop_and_resize(image, (14, 6, 40, 40), PROTOCOL))
    # Twice as large is larger than the picture, whose shorter side is what remains.
    large = rendering.crop(image, BOX, view(scale=2.0), PROTOCOL)
    np.testing.assert_array_equal(large, crop_and_resize(image, (6, 0, 48, 48), PROTOCOL))
    assert (rendering.crop(image, BOX, view(tilt=5.0), PROTOCOL) != plain).any()


@pytest.mark.parametrize(("changes", "differs"), [({"noise": 6.0}, 1.0), ({"quality": 20}, 0.5)])
def test_a_view_is_stored_with_noise_and_compression(changes, differs):
    face = np.asarray(photos.picture(1, size=(32, 32)).convert("L").convert("RGB"))
    plain, changed = (rendering._develop(face, view(**each)).astype(float) for each in ({}, changes))
    assert np.abs(plain - face).mean() < 2
    assert np.abs(changed - plain).mean() > differs


def test_fewer_pixels_leave_less_detail():
    face = np.asarray(photos.picture(1, size=(32, 32)))
    few = rendering._develop(face, rendering.View(*view()[:4], 8, *view()[5:]))
    assert few.shape == face.shape
    assert few.astype(float).std() < 0.95 * face.std()


def test_problems_name_the_line(tmp_path):
    root = make(tmp_path / "photos", 31)
    options = {"data_dir": str(tmp_path / "tfds"), "preprocessing": PROTOCOL, "manual_dir": str(root)}
    (root / "images" / "p3.png").write_bytes(b"no picture")
    with pytest.raises(ReleaseError, match=r"boxes\.csv:5: p3\.png: .*damaged"):
        prepare.check("portrait_blur", **options)
    prepare.check("portrait_blur", allow_missing=True, **options)
    (root / "boxes.csv").unlink()
    with pytest.raises(ReleaseError, match=r"boxes\.csv: the face in each portrait"):
        prepare.check("portrait_blur", **options)
    few = {**options, "manual_dir": str(make(tmp_path / "few", 3))}
    with pytest.raises(ReleaseError, match="3 portraits; at least 30 are needed"):
        prepare.check("portrait_blur", **few)
    assert not (tmp_path / "tfds").exists()


def test_a_rendered_face_is_reproducible():
    face = np.asarray(photos.picture(2, size=(32, 32)))
    first, again = (rendering.render(face[None], [view()])[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.uint8
