"""Another folder's unlabeled pictures beside the release's, through the real builders."""

import ml_collections
import numpy as np
import pytest
from PIL import Image

from blur_jax.data import splits
from experiments import label_efficiency, target_pictures
from tests.helpers import releases


@pytest.fixture
def photos(tmp_path):
    """Two ranked pictures, and three unlabeled ones with a dark face on the right, of which boxes.csv tells."""
    root = tmp_path / "photos"
    for folder in ("images", "unlabeled"):
        (root / folder).mkdir(parents=True)
    for index in range(2):
        Image.new("RGB", (60, 40), (100 + 60 * index, 0, 0)).save(root / "images" / f"r{index}.png")
    for index in range(3):
        picture = np.full((40, 60, 3), 255, np.uint8)
        picture[:, 30:] = 40 * index
        Image.fromarray(picture).save(root / "unlabeled" / f"u{index}.png")
    releases.write(root, "ranked.csv", "name,rank", "r0.png,0", "r1.png,1")
    boxes = [f"u{index}.png,35,10,20,20" for index in range(3)] + [f"r{index}.png,0,0,40,40" for index in range(2)]
    releases.write(root, "boxes.csv", "name,x,y,width,height", *boxes)
    return root


@pytest.fixture
def config(tmp_path):
    """Of a run on a prepared release."""
    root = releases.make(tmp_path)
    releases.prepare_all(root)
    config = ml_collections.ConfigDict({"data": releases.configured(root)})
    config.data.manual_dir = str(root)
    return config


def test_the_target_brings_unlabeled_faces_and_changes_nothing_else(config, photos, tmp_path):
    far = label_efficiency.far_data(config, str(photos))
    found = label_efficiency.target_data(config, far, str(tmp_path / "both"))
    config.data.sources = label_efficiency.prepare_configured(config.data)
    assert found.sources != config.data.sources
    alone, both = (splits.open_split(each, "unlabeled", "train") for each in (config.data, found))
    from_target = [row for row, (left, _) in enumerate(both.names) if left.startswith("MegaFace/")]
    assert len(from_target) == len(both) - len(alone) == len(splits.open_split(far, "unlabeled", "train")) > 0
    for pair, images in zip(np.array(both.names)[from_target], both.images(from_target)):
        for name, image in zip(pair, images):
            # The face of its own picture, inside its box.
            assert np.abs(image.mean() - 40 * int(name.removeprefix("MegaFace/u")[0])) < 2
    for kind, split in (("labeled", "train"), ("labeled", "validation"), ("ranked", "test1")):
        ours, theirs = (splits.open_split(each, kind, split) for each in (config.data, found))
        assert list(map(tuple, ours.names)) == list(map(tuple, theirs.names))
        assert np.array_equal(ours.labels, theirs.labels)


def test_without_boxes_a_face_fills_its_picture(config, photos, tmp_path):
    (photos / "boxes.csv").unlink()
    target_pictures.add(config.data.manual_dir, str(photos), [("u0.png", "u1.png")], str(tmp_path / "both"))
    crops = (tmp_path / "both/MegaFace_all_imgs_list.txt").read_text().splitlines()
    assert crops == [f"MegaFace>>u{index}.png>>0 0 60 40>>u{index}.png" for index in range(2)]


def test_what_cannot_be_added_to_is_refused(config, photos, tmp_path):
    both = str(tmp_path / "both")
    with pytest.raises(FileNotFoundError, match=r"no picture 'gone\.png'"):
        target_pictures.add(config.data.manual_dir, str(photos), [("u0.png", "gone.png")], both)
    releases.write(tmp_path / "release", "MegaFace_all_imgs_list.txt", "")
    with pytest.raises(ValueError, match="whose place"):
        target_pictures.add(config.data.manual_dir, str(photos), [("u0.png", "u1.png")], both)
    far = label_efficiency.far_data(config, str(photos))
    config.data.manual_dir = None
    with pytest.raises(ValueError, match="adds pictures to the release's lists"):
        label_efficiency.target_data(config, far, both)
