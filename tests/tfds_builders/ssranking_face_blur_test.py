import collections

import numpy as np
import pytest

from tests.helpers import releases
from tests.helpers.paths import SHARED
from tests.helpers.releases import CROWD, FIVE, LFW, TEN, TEST1, faces_of, pair, pairs_of, prepare, read
from tfds_builders import pictures
from tfds_builders.problems import ReleaseError
from tfds_builders.ssranking_face_blur import SsrankingFaceBlur, builder, lists
from tfds_builders.ssranking_face_blur.coverage import coverage, coverage_table

REAL = SHARED / "wider_blur"


@pytest.fixture
def root(tmp_path):
    return releases.make(tmp_path)


def error_of(root, config="labeled", **kwargs):
    """The message of the failing build, which must leave nothing behind."""
    with pytest.raises(ReleaseError) as caught:
        prepare(root, config, **kwargs)
    assert not list((root.parent / "tfds").rglob("*.array_record*"))
    assert not list((root.parent / "tfds").rglob("dataset_info.json"))
    return str(caught.value)


def test_every_face_is_stored_once(root):
    faces = faces_of(root)
    of = {face["name"].decode(): face for face in faces}
    # The unlabeled pairs have no face that the labeled ones lack; the crowd is in the test.
    expected = [f"{CROWD}_0.png", f"{CROWD}_1.png"] + [f"LFW/{person}_0001.png" for person in "ABCDE"]
    assert sorted(of) == expected and len(faces) == 7
    for person, gray in releases.COLORS.items():
        np.testing.assert_array_equal(of[f"LFW/{person}_0001.png"]["image"], np.full((16, 16, 3), gray, np.uint8))
    # The second box is 24 x 18: the crop is 24 square around its center, and the shorter side is the size.
    crowd = of[f"{CROWD}_1.png"]
    np.testing.assert_array_equal(crowd["image"], np.full((16, 16, 3), 90, np.uint8))
    assert (crowd["size"], crowd["group"]) == (18.0, b"0--Parade")
    assert (of["LFW/A_0001.png"]["size"], of["LFW/A_0001.png"]["group"]) == (20.0, b"LFW")


def test_labeled_splits_rows_order_and_metadata(root):
    dataset = prepare(root, "labeled")
    # SHA-256 of LFW/B (0d84...) is the lowest of the five persons, and 5% of five is rounded up to one.
    assert pairs_of(read(dataset, "train")) == ["AC", "AD", "CD", "DE"]
    assert pairs_of(read(dataset, "validation")) == ["BA", "EB"]
    assert pairs_of(read(dataset, "train_5k")) == ["AC", "CD"]
    names = [face["name"] for face in faces_of(root)]
    for example in read(dataset, "train"):
        assert example["order"] == 1
        assert example["left_name"] == names[example["left"]] and example["right_name"] == names[example["right"]]
    metadata = dataset.info.metadata
    assert metadata["preprocessing"] == {"image_size": 16, "context": 1.0}
    assert metadata["partial"] is False
    assert metadata["headline_splits"] == ["test1"] and metadata["size_bins"] == [32, 40, 48, 64, 96]
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


def test_unlabeled_keeps_every_pair_and_ranked_has_face_and_rank(root):
    unlabeled, ranked = prepare(root, "unlabeled"), prepare(root, "ranked")
    assert set(unlabeled.info.splits) == {"train"} and set(ranked.info.splits) == {"test1"}
    assert pairs_of(read(unlabeled, "train")) == ["AB", "BC"] and "order" not in unlabeled.info.features
    names = [face["name"].decode() for face in faces_of(root)]
    ranks = {names[example["face"]]: example["rank"] for example in read(ranked, "test1")}
    assert ranks == {f"{CROWD}_0.png": 0.0, f"{CROWD}_1.png": 2.5}


def test_a_photograph_of_many_faces_is_decoded_once(root, monkeypatch):
    calls, read_image = [], pictures.read_image
    monkeypatch.setattr(pictures, "read_image", lambda path, **kwargs: calls.append(path) or read_image(path, **kwargs))
    assert len(faces_of(root)) == 7
    assert calls.count(root / "WIDER_train/0--Parade/p q_7.png") == 1 and len(calls) == 6


def test_lfw_may_lie_in_folders_of_persons_as_distributed(root):
    (root / "LFW" / "A").mkdir()
    (root / "LFW" / "A_0001.png").rename(root / "LFW" / "A" / "A_0001.png")
    assert len(read(prepare(root, "unlabeled"), "train")) == 2


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


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "a\0.png"])
def test_a_picture_whose_name_no_file_can_have_is_a_problem(root, name):
    (root / LFW).write_text((root / LFW).read_text().replace("LFW>>A_0001.png", f"LFW>>{name}"))
    with pytest.raises(ReleaseError, match=r"unreadable image \(1\)"):
        prepare(root, "faces")


def test_a_missing_image_is_reported(root):
    (root / "LFW" / "D_0001.png").unlink()
    message = error_of(root)
    assert f"{LFW}:4: {root}/LFW/D_0001.png: the file does not exist (used in {TEN}:2)" in message
    assert "missing image (1): " in message
    # The coverage table is in it: 3 of the 6 pairs have person D.
    assert f"{TEN:<44}{6:>12}{3:>12}{3:>12}" in message


def test_a_truncated_image_is_reported(root):
    path = root / "LFW" / "D_0001.png"
    path.write_bytes(path.read_bytes()[:-30])
    message = error_of(root)
    assert f"{LFW}:4: {path}: not a readable picture (" in message and "unreadable image (1): " in message


@pytest.mark.parametrize("box", ["50 5 20 20", "-1 5 20 20", "10 5 20 0", "10 5 20 36"])
def test_a_box_that_is_empty_or_leaves_the_picture_is_reported(root, box):
    (root / LFW).write_text((root / LFW).read_text().replace("D_0001.png>>10 5 20 20", f"D_0001.png>>{box}"))
    message = error_of(root)
    shown = "x={} y={} w={} h={}".format(*box.split())
    assert f"{LFW}:4: {root}/LFW/D_0001.png: box {shown} is empty or extends beyond the 60 x 40 picture" in message
    assert "box outside (1): " in message


def test_partial_data_only_on_request_and_counted(root):
    (root / "LFW" / "D_0001.png").unlink()
    (root / "LFW" / "E_0001.png").write_bytes(b"not a picture")
    error_of(root)
    dataset = prepare(root, "labeled", allow_missing=True)
    assert pairs_of(read(dataset, "train")) == ["AC"]
    assert pairs_of(read(dataset, "validation")) == ["BA"]
    report = dataset.info.metadata["coverage"]
    assert dataset.info.metadata["partial"] is True
    # CD, DE and AD lack D (DE's first fault is D); EB cannot be read.
    counts = {"lines": 6, "resolved": 2, "missing": 3, "unreadable": 1, "outside": 0, "faulty": 0}
    assert report["lists"][TEN] == counts
    table = coverage_table(report).splitlines()
    assert f"{TEN:<44}{6:>12}{2:>12}{3:>12}{1:>12}{0:>12}{0:>12}" in table
    assert f"{LFW:<44}{5:>12}{3:>12}{1:>12}{1:>12}{0:>12}{0:>12}" in table


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
    releases.write(root, file, *lines, line)
    message = error_of(root, allow_missing=True)
    assert f"{kind} (1): " in message and f"{file}:{len(lines) + 1}: " in message
    assert "missing image" not in message


def test_partial_data_that_leaves_nothing_is_refused(root):
    for path in (root / "LFW").iterdir():
        path.unlink()
    # train, train_5k and validation of the labeled pairs, and the unlabeled ones.
    assert "empty split (4): " in error_of(root, "unlabeled", allow_missing=True)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"not in CI, as we may not publish them: the photographs of {REAL}")
def test_every_line_of_the_real_photographs_is_resolved(tmp_path):
    # As ../shared/data/README.md counts them.
    expected = {TEN: 10000, FIVE: 5000, releases.UNSUPERVISED: 20000, TEST1: 268}
    expected |= {lists.TESTS["test2"]: 384, lists.TESTS["test3"]: 1069}
    made = SsrankingFaceBlur(manual_dir=REAL, config="faces", preprocessing=releases.SMALL, data_dir=tmp_path)
    used = collections.Counter(made.release.crop(face["name"]).file for face in made.face_examples())  # or ReleaseError
    counts = coverage(made.release, "faces", {})["lists"].items()
    assert {file: (of["lines"], of["resolved"]) for file, of in counts} == {f: (n, n) for f, n in expected.items()}
    # cut, sort -u and wc of the pair and test lists: not every face of the crop lists is in one of them.
    assert used == {releases.WIDER: 7141, LFW: 2626}
