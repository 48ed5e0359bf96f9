import collections
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from blur_jax.preprocessing import Preprocessing
from tfds_builders.ssranking_face_blur import SsrankingFaceBlur, builder, faces, lists
from tfds_builders.ssranking_face_blur.problems import ReleaseError

REAL = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "wider_blur"
SMALL = Preprocessing(image_size=16)
COLORS = {"A": 10, "B": 60, "C": 110, "D": 160, "E": 210}
LFW = "LFW_all_imgs_list.txt"
WIDER = "WiderFace_train_all_imgs_list.txt"
FIVE = "SSRanking_OBA_train_supervised_5k.txt"
TEN = "SSRanking_OBA_train_supervised_10k.txt"
UNSUPERVISED = "SSRanking_OBA_train_unsupervised.txt"
TEST1 = "SSRanking_OBA_test_test1.txt"
CROWD = "Images_Wider_Train/0--Parade/p q_7"


@pytest.fixture
def root(tmp_path):
    """A tiny release: five persons of LFW, each a flat gray face on white, and a crowd of two faces in WIDER."""
    root = tmp_path / "release"
    for folder in ("LFW", "WIDER_train/0--Parade"):
        (root / folder).mkdir(parents=True)
    for person, gray in COLORS.items():
        picture = np.full((40, 60, 3), 255, np.uint8)
        picture[2:28, 7:33] = gray  # Beyond the box, so that the filter's reach does not matter.
        Image.fromarray(picture).save(root / "LFW" / f"{person}_0001.png")
    crowd = np.full((40, 60, 3), 255, np.uint8)
    crowd[:24, :24] = 30
    crowd[6:36, 28:] = 90
    Image.fromarray(crowd).save(root / "WIDER_train" / "0--Parade" / "p q_7.png")
    write(root, LFW, *[f"LFW>>{p}_0001.png>>10 5 20 20>>{p}_0001.png" for p in COLORS])
    write(
        root,
        WIDER,
        "WIDER_train>>0--Parade/p q_7.png>>0 0 20 20>>0--Parade/p q_7_0.png",
        "WIDER_train>>0--Parade/p q_7.png>>32 12 24 18>>0--Parade/p q_7_1.png",
    )
    pairs = [pair(*names) for names in ("AC", "CD", "DE", "AD", "BA", "EB")]
    write(root, TEN, *pairs)
    write(root, FIVE, *pairs[:2], pairs[4])
    write(root, UNSUPERVISED, pair("A", "B"), pair("B", "C"))
    write(root, TEST1, f"{CROWD}_0.png 0", f"{CROWD}_1.png 2.5")
    return root


def write(root, file, *lines):
    (root / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def pair(left, right):
    return f"LFW/{left}_0001.png,LFW/{right}_0001.png"


def prepare(root, config, **kwargs):
    """Builds a config and returns what a reader finds on disk."""
    kwargs = {"preprocessing": SMALL, "data_dir": root.parent / "tfds", **kwargs}
    made = SsrankingFaceBlur(manual_dir=root, config=config, **kwargs)
    made.download_and_prepare()
    return tfds.builder_from_directory(made.data_path)


def read(dataset, split):
    return list(dataset.as_data_source(split=split))


def pairs_of(examples):
    """The persons of each pair, such as {"AC", "CD"}."""
    return sorted((e["left_name"][4:5] + e["right_name"][4:5]).decode() for e in examples)


def error_of(root, config="labeled", **kwargs):
    """The message of the failing build, which must leave nothing behind."""
    with pytest.raises(ReleaseError) as caught:
        prepare(root, config, **kwargs)
    assert not list((root.parent / "tfds").rglob("*.array_record*"))
    assert not list((root.parent / "tfds").rglob("dataset_info.json"))
    return str(caught.value)


def test_labeled_splits_images_order_and_metadata(root):
    dataset = prepare(root, "labeled")
    # SHA-256 of LFW/B (0d84...) is the lowest of the five persons, and 5% of five is rounded up to one.
    assert pairs_of(read(dataset, "train")) == ["AC", "AD", "CD", "DE"]
    assert pairs_of(read(dataset, "validation")) == ["BA", "EB"]
    assert pairs_of(read(dataset, "train_5k")) == ["AC", "CD"]
    for example in read(dataset, "train"):
        assert example["order"] == 1
        for side in ("left", "right"):
            gray = COLORS[example[f"{side}_name"].decode()[4]]
            np.testing.assert_array_equal(example[side], np.full((16, 16, 3), gray, np.uint8))
    metadata = dataset.info.metadata
    assert metadata["preprocessing"] == {"image_size": 16, "context": 1.0, "resample": "bicubic"}
    assert metadata["partial"] is False
    whole = {"missing": 0, "unreadable": 0, "outside": 0, "faulty": 0}
    assert metadata["coverage"] == {
        "lists": {TEN: {"lines": 6, "resolved": 6, **whole}, FIVE: {"lines": 3, "resolved": 3, **whole}},
        "faces": {LFW: {"lines": 5, "resolved": 5, **whole}},
    }


def test_labeled_with_one_supervised_list_only(root):
    (root / TEN).unlink()
    dataset = prepare(root, "labeled")
    assert set(dataset.info.splits) == {"train", "validation"}
    assert pairs_of(read(dataset, "train")) == ["AC", "CD"]
    assert pairs_of(read(dataset, "validation")) == ["BA"]


def test_unlabeled_keeps_every_pair(root):
    dataset = prepare(root, "unlabeled")
    assert set(dataset.info.splits) == {"train"}
    assert pairs_of(read(dataset, "train")) == ["AB", "BC"]
    assert "order" not in dataset.info.features


def test_ranked_has_rank_size_and_group(root):
    dataset = prepare(root, "ranked")
    assert set(dataset.info.splits) == {"test1"}
    first, second = sorted(read(dataset, "test1"), key=lambda example: example["name"])
    assert first["name"].decode() == f"{CROWD}_0.png"
    assert (first["rank"], first["size"], first["group"]) == (0.0, 20.0, b"0--Parade")
    # The box is 24 x 18: the crop is 24 square around its center, and the shorter side is the size.
    assert (second["rank"], second["size"]) == (2.5, 18.0)
    np.testing.assert_array_equal(second["image"], np.full((16, 16, 3), 90, np.uint8))


def test_a_build_is_deterministic(root, tmp_path):
    runs = [read(prepare(root, "labeled", data_dir=tmp_path / name), "train") for name in "ab"]
    names = [[(e["left_name"], e["right_name"]) for e in run] for run in runs]
    assert names[0] == names[1]


def test_a_photograph_of_many_faces_is_decoded_once(root, monkeypatch):
    calls = []
    monkeypatch.setattr(faces, "read_image", lambda path: calls.append(path) or Image.open(path))
    release = lists.read_release(root, "ranked")
    found, failures = faces.read_faces(release, "ranked", SMALL)
    assert len(found) == 2 and not failures
    assert calls == [root / "WIDER_train/0--Parade/p q_7.png"]


def test_lfw_may_lie_in_folders_of_persons_as_distributed(root):
    (root / "LFW" / "A").mkdir()
    (root / "LFW" / "A_0001.png").rename(root / "LFW" / "A" / "A_0001.png")
    assert len(read(prepare(root, "unlabeled"), "train")) == 2


def test_picture_folders_can_be_elsewhere(root):
    (root / "LFW").rename(root / "deepfunneled")
    dataset = prepare(root, "unlabeled", folders={"LFW": (LFW, "deepfunneled")})
    assert len(read(dataset, "train")) == 2


def test_the_photograph_is_the_name_without_its_last_number():
    assert builder.photograph("LFW/AJ_Cook_0001.jpg") == "LFW/AJ_Cook"
    assert builder.photograph("CASIA_WebFace/0000133/039.jpg") == "CASIA_WebFace/0000133"
    assert builder.photograph("Images_Wider_Train/4--D/4_D_4_129_0.jpg") == "Images_Wider_Train/4--D/4_D_4_129"
    assert builder.photograph("Faces/someone.jpg") == "Faces/someone"


def test_held_out_is_a_stable_twentieth():
    # printf LFW/B | sha256sum etc.: A ba7c, B 0d84, C cf7b, D 7a50, E fc00.
    names = [f"LFW/{person}_{i:04d}.jpg" for person in "EDCBA" for i in range(9)]
    assert builder.held_out(names) == {"LFW/B"}
    assert builder.held_out(names[::-1]) == {"LFW/B"}
    assert len(builder.held_out(f"LFW/p{i}x_0001.jpg" for i in range(100))) == 5


def test_a_missing_image_is_told(root):
    (root / "LFW" / "D_0001.png").unlink()
    message = error_of(root)
    assert f"{LFW}:4: there is no {root}/LFW/D_0001.png (used by {TEN}:2)" in message
    assert "missing image (1): the picture file is not there. Put it there" in message
    assert "partial=True" in message
    # The coverage table is in it: 3 of the 6 pairs have person D.
    assert f"{TEN:<44}{6:>12}{3:>12}{3:>12}" in message


def test_a_truncated_image_is_told(root):
    path = root / "LFW" / "D_0001.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    message = error_of(root)
    assert f"{LFW}:4: {path}: not a readable picture (" in message
    assert "unreadable image (1): the picture file is damaged" in message
    assert "Fetch the file again" in message


def test_a_file_that_is_no_image_is_told(root):
    (root / "LFW" / "D_0001.png").write_bytes(b"")
    assert "unreadable image (1): " in error_of(root)


@pytest.mark.parametrize("box", ["50 5 20 20", "-1 5 20 20", "10 5 20 0", "10 5 20 36"])
def test_a_box_that_is_empty_or_leaves_the_picture_is_told(root, box):
    text = (root / LFW).read_text().replace("D_0001.png>>10 5 20 20", f"D_0001.png>>{box}")
    (root / LFW).write_text(text)
    message = error_of(root)
    x, y, w, h = box.split()
    assert f"{LFW}:4: LFW/D_0001.png: box x={x} y={y} w={w} h={h} is empty or leaves the picture of 60 x 40" in message
    assert "box outside (1): " in message and "Use the original picture, correct the box" in message


def test_partial_data_only_on_request_and_counted(root):
    (root / "LFW" / "D_0001.png").unlink()
    (root / "LFW" / "E_0001.png").write_bytes(b"not a picture")
    error_of(root)
    dataset = prepare(root, "labeled", partial=True)
    assert pairs_of(read(dataset, "train")) == ["AC"]
    assert pairs_of(read(dataset, "validation")) == ["BA"]
    metadata = dataset.info.metadata
    assert metadata["partial"] is True
    # CD, DE and AD lack D (DE's first fault is D); EB cannot be read.
    counts = {"lines": 6, "resolved": 2, "missing": 3, "unreadable": 1, "outside": 0, "faulty": 0}
    assert metadata["coverage"]["lists"][TEN] == counts
    table = faces.coverage_table(metadata["coverage"])
    assert f"{TEN:<44}{6:>12}{2:>12}{3:>12}{1:>12}{0:>12}{0:>12}" in table.splitlines()
    assert f"{LFW:<44}{5:>12}{3:>12}{1:>12}{1:>12}{0:>12}{0:>12}" in table.splitlines()


@pytest.mark.parametrize(
    ("file", "line", "kind"),
    [
        (TEN, "LFW/A_0001.png", "malformed line"),
        (TEN, pair("E", "D"), "contradictory pair"),
        (TEN, pair("C", "C"), "pair with itself"),
        (TEN, "LFW/A_0001.png,LFW/Z_0001.png", "unknown name"),
        (LFW, "LFW>>../Z.png>>0 0 5 5>>Z_0001.png", "unsafe path"),
        (TEST1, "LFW/A_0001.png 1", "train and test"),
    ],
)
def test_partial_forgives_nothing_but_pictures(root, file, line, kind):
    (root / "LFW" / "D_0001.png").unlink()
    lines = (root / file).read_text().splitlines()
    write(root, file, *lines, line)
    message = error_of(root, partial=True)
    assert f"{kind} (1): " in message and f"{file}:{len(lines) + 1}: " in message
    assert "missing image" not in message


def test_partial_data_that_leaves_nothing_is_refused(root):
    for path in (root / "LFW").iterdir():
        path.unlink()
    message = error_of(root, "unlabeled", partial=True)
    assert "empty split (1): " in message and "train: nothing is left for it in config 'unlabeled'" in message


def test_prepared_data_of_other_lists_are_not_taken_for_these(root):
    prepare(root, "unlabeled")
    prepare(root, "unlabeled")  # The same lists: nothing to do, nothing to complain about.
    write(root, UNSUPERVISED, pair("A", "B"))
    with pytest.raises(ValueError, match=r"unlabeled/1.0.0 is prepared already, but from other lists .* remove"):
        prepare(root, "unlabeled")


def test_prepared_partial_data_are_not_taken_for_whole(root):
    (root / "LFW" / "A_0001.png").unlink()
    prepare(root, "unlabeled", partial=True)
    prepare(root, "unlabeled", partial=True)
    with pytest.raises(ValueError, match="is prepared already, but from partial data"):
        prepare(root, "unlabeled")


def test_prepared_data_are_used_without_the_lists(root):
    prepare(root, "unlabeled")
    root.rename(root.parent / "archive")
    assert len(read(prepare(root, "unlabeled"), "train")) == 2


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real photographs of {REAL} are not on this machine")
def test_every_line_of_the_real_photographs_is_resolved():
    expected = {TEN: 10000, FIVE: 5000, UNSUPERVISED: 20000, TEST1: 268}
    expected |= {lists.TESTS["test2"]: 384, lists.TESTS["test3"]: 227}
    resolved, used = {}, collections.defaultdict(set)
    for kind in ("labeled", "unlabeled", "ranked"):
        release = lists.read_release(REAL, kind)
        found, failures = faces.read_faces(release, kind, SMALL)
        assert release.problems == [] and failures == {}
        report = faces.coverage(release, kind, failures)
        resolved |= {file: counts["resolved"] for file, counts in report["lists"].items()}
        for name in found:
            used[release.crop(name).file].add(name)
    assert resolved == expected
    assert {file: len(names) for file, names in used.items()} == {WIDER: 2900, LFW: 2647}
