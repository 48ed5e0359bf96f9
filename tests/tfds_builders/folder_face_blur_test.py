"""Folders of one's own pictures, prepared: what is stored, what is rewritten, what is required."""

import shutil

import numpy as np
import pytest
from PIL import Image

from blur_jax.data import splits
from blur_jax.data.preprocessing import crop_and_resize
from configs import folder
from tests.helpers import forked, photos, stub_detector
from tests.helpers.photos import SMALL, configured, files, picture, prepare, save, write
from tfds_builders import prepare as command
from tfds_builders.problems import ReleaseError


@pytest.fixture
def root(tmp_path):
    return photos.make(tmp_path / "photos")


def opened(root, kind="labeled", split="train", **fields):
    return splits.open_split(configured(root, **fields), kind, split)


def orders(root, **fields):
    """{(left, right): order} of all labeled pairs."""
    both = [opened(root, split=split, **fields) for split in ("train", "validation")]
    return {tuple(names): order for split in both for names, order in zip(split.names, split.labels)}


def test_twenty_pairs_are_all_it_takes(tmp_path):
    root = photos.make(tmp_path / "photos", 21)
    prepare(root, required=("labeled", "unlabeled"))
    train, validation, unlabeled = opened(root), opened(root, split="validation"), opened(root, "unlabeled")
    assert (len(train) + len(validation), len(validation)) == (20, 2)
    assert set(train.labels) == {1}
    assert len(unlabeled) > 70 and len(set(unlabeled.names.ravel())) == 21
    for row, name in enumerate(train.faces.names):
        expected = crop_and_resize(picture(int(name[1:-4])), None, SMALL)
        np.testing.assert_array_equal(train.faces.images[row], expected)
    assert splits.split_names(configured(root), "ranked") == []
    with pytest.raises(ValueError, match="was prepared without a 'ranked' part"):
        opened(root, "ranked", "test")


def test_faces_have_the_shorter_side_of_their_box_and_the_folder_of_their_picture(tmp_path):
    root = tmp_path / "photos"
    for seed, name in enumerate(("a.png", "trip/day 1/b.png", "trip/c.png")):
        save(root, name, seed)
    write(root, "pairs.csv", "left,right,order", "a.png,trip/day 1/b.png,1", "trip/c.png,a.png,0", "trip/c.png,a.png,0")
    with pytest.raises(ReleaseError, match="too few pairs"):
        prepare(root)
    write(root, "pairs.csv", "left,right,order", "a.png,trip/day 1/b.png,1", "trip/c.png,a.png,-1")
    prepare(root)
    faces = opened(root).faces
    assert list(faces.names) == ["a.png", "trip/c.png", "trip/day 1/b.png"]
    assert list(faces.groups) == ["", "trip", "trip/day 1"] and faces.sizes.tolist() == [48, 48, 48]
    boxes = ["a.png,1,2,30,20", "trip/c.png,0,0,48,48", "trip/day 1/b.png,10,10,20,25"]
    write(root, "boxes.csv", "name,x,y,width,height", *boxes)
    split = opened(root, sources=prepare(root).sources)
    assert split.faces.sizes.tolist() == [20, 48, 20]
    np.testing.assert_array_equal(split.faces.images[0], crop_and_resize(picture(0), (1, 2, 30, 20), SMALL))
    assert split.metadata["size_bins"] == [] and split.metadata["headline_splits"] == []


def test_new_labels_rewrite_no_picture_and_new_pictures_are_prepared_beside(root):
    first = prepare(root)
    before = files(root)
    assert prepare(root) == first and files(root) == before
    lines = (root / "pairs.csv").read_text().splitlines()
    write(root, "pairs.csv", *lines, "p0.png,p3.png,1")
    save(root / "..", "elsewhere.png", 77)
    second = prepare(root)
    assert second.folders[0] == first.folders[0] and second.sources != first.sources
    assert before.items() <= files(root).items()
    assert [len(orders(root, sources=of.sources)) for of in (first, second)] == [5, 6]
    save(root, "more/p9.png", 9)
    third = prepare(root)
    assert third.folders[0] != first.folders[0] and before.items() <= files(root).items()
    assert "more/p9.png" in opened(root, sources=third.sources).faces.names


def test_the_checks_of_prepared_pictures_do_not_read_them_again(root, monkeypatch):
    prepare(root)
    save(root, "test.png", 3)  # Of the same size as p3.png, and it looks the same.
    prepare(root)
    monkeypatch.setattr("blur_jax.data.pictures.decode", None)
    write(root, "ranked.csv", "name,rank", "test.png,1")
    with pytest.raises(ReleaseError, match="ranked.csv:2: 'test.png' looks the same as 'p3.png'"):
        prepare(root)


def test_votes_are_combined_and_the_agreement_is_told(root, capsys):
    pairs = ["p0.png,p1.png,1", "p1.png,p0.png,-1", "p1.png,p2.png,1", "p1.png,p2.png,-1", "p3.png,p4.png,-1"]
    write(root, "pairs.csv", "left,right,order,annotator", *(f"{pair},{'ab'[i % 2]}" for i, pair in enumerate(pairs)))
    prepare(root)
    assert orders(root) == {("p0.png", "p1.png"): 1, ("p1.png", "p2.png"): 0, ("p3.png", "p4.png"): -1}
    # Both ways round: votes 4 x +1 and 4 x -1 of 4 units, 2 of them disputed.
    # 1 - (4 / 8) / (2 * 16 / 56) = 0.125.
    assert opened(root).metadata["agreement"] == {"annotators": 2, "pairs": 2, "alpha": 0.125}
    assert (
        "2 pairs were compared by more than one of 2 annotators: Krippendorff's alpha is 0.12 "
        in capsys.readouterr().err
    )


def test_test_pictures_beside_images_and_unlabeled_folders(tmp_path):
    root = tmp_path / "photos"
    for seed in range(4):
        save(root, f"images/t{seed}.png", seed)
        save(root, f"unlabeled/more/u{seed}.png", 10 + seed)
    write(root, "ranked.csv", "name,rank", "t0.png,1", "t1.png,0", "t2.png,0.5")
    parts = [folder.split("/")[-2].split("-")[0] for folder in prepare(root, required=()).folders]
    assert parts == ["faces", "unlabeled", "ranked"]
    assert splits.split_names(configured(root), "labeled") == []
    test = opened(root, "ranked", "test")
    assert dict(zip(test.names, test.labels)) == {"t0.png": 1.0, "t1.png": 0.0, "t2.png": 0.5}
    assert test.metadata["headline_splits"] == ["test"]
    # A picture that nobody ranked is an unlabeled one, wherever it lies.
    names = set(opened(root, "unlabeled").names.ravel())
    assert names == {"t3.png", *(f"more/u{seed}.png" for seed in range(4))}
    with pytest.raises(ReleaseError, match=r"missing list \(1\).*\n  pairs.csv: .*left,right,order"):
        prepare(root)
    with pytest.raises(FileNotFoundError, match="no prepared data"):
        opened(root, "ranked", "test", sources="01234567")


def test_attributes_belong_to_the_test_faces_alone(root):
    write(root, "ranked.csv", "name,rank", "t0.png,0", "t1.png,1", "t2.png,0")
    for seed in range(3):
        save(root, f"t{seed}.png", 10 + seed)
    write(root, "attributes.csv", "name,Hat,Beard", "p0.png,1,1", "t2.png,1,0", "t0.png,1,0", "t1.png,0,0")
    before = prepare(root).sources
    test = opened(root, "ranked", "test")
    names = {hat: [test.faces.names[row] for row in rows] for hat, rows in test.metadata["attributes"].items()}
    assert names == {"Hat": ["t2.png", "t0.png"], "Beard": []}
    assert "attributes" not in opened(root).metadata
    write(root, "attributes.csv", "name,Hat,Beard", "t2.png,1,0", "t0.png,1,0", "t1.png,0,1")
    assert prepare(root).sources != before
    write(root, "attributes.csv", "name,Hat", "t0.png,1", "t1.png,0")
    with pytest.raises(ReleaseError, match=r"missing attributes .*\n  ranked.csv:4: 't2.png' is not in attributes"):
        prepare(root)


def test_only_what_is_used_is_required(tmp_path):
    root = photos.make(tmp_path / "photos", 3)
    assert len(prepare(root).folders) == 3  # faces, labeled, unlabeled
    # The one picture is in the test: nothing is left to pair.
    save(root, "p3.png", 3)
    for name in ("p0.png", "p1.png", "p2.png", "pairs.csv"):
        (root / name).unlink()
    write(root, "ranked.csv", "name,rank", "p3.png,0")
    with pytest.raises(ReleaseError, match="missing list .*quadruplet_weight"):
        prepare(root, required=("unlabeled",))
    assert len(prepare(root, required=("ranked",)).folders) == 2


def test_required_parts_are_those_that_a_run_uses():
    config = folder.get_config()
    assert command.required_parts(config, "train") == ("labeled", "unlabeled")
    config.consistency.quadruplet_weight = config.consistency.distillation_weight = 0.0
    assert command.required_parts(config, "train") == ("labeled", "unlabeled")  # For the linear probe.
    config.probe.update(content=0.0, changes=0.0, prior=0.0)
    assert command.required_parts(config, "train") == ("labeled",)
    assert command.required_parts(config, "evaluate") == ()


def test_nothing_is_written_where_anything_is_wrong(root):
    write(root, "ranked.csv", "name,rank", "p0.png,1")
    with pytest.raises(ReleaseError, match="train and test"):
        prepare(root)
    (root / "p5.png").write_bytes(b"")
    (root / "ranked.csv").unlink()
    with pytest.raises(ReleaseError, match=r"unreadable image.*\n  pairs.csv:6: 'p5.png': the file is empty"):
        prepare(root)
    assert files(root) == {} and not (root.parent / "tfds").exists()
    prepare(root, allow_missing=True)
    assert len(orders(root)) == 4
    with pytest.raises(ReleaseError, match="unreadable image"):  # Prepared, but not asked for.
        prepare(root)
    with pytest.raises(ValueError, match="partial data"):
        command.prepare_configured(configured(root))


def test_an_interrupted_preparation_is_not_taken_for_a_whole_one(root):
    write(root, "ranked.csv", "name,rank", "p5.png,1")
    write(root, "pairs.csv", "left,right,order", "p0.png,p1.png,1", "p1.png,p2.png,1")
    ranked = prepare(root).folders[-1]
    assert splits.split_names(configured(root), "ranked") == ["test"]
    shutil.rmtree(ranked)
    with pytest.raises(FileNotFoundError, match="no prepared data"):
        splits.split_names(configured(root), "ranked")
    prepare(root)
    assert splits.split_names(configured(root), "ranked") == ["test"]


def test_a_build_prints_a_line_for_each_part(root, capsys):
    prepare(root)
    out, err = capsys.readouterr()
    assert out == ""
    count = len(opened(root, "unlabeled"))
    parts = ["faces (faces 6)", "labeled (train 4, validation 1)", f"unlabeled (train {count})"]
    expected = ["reading 6 pictures", *(f"prepared {part}" for part in parts)]
    assert [line.partition(" in ")[0] for line in err.splitlines()] == expected


def test_check_reports_what_is_wrong_and_writes_nothing(root, capsys):
    lines = (root / "pairs.csv").read_text().splitlines()
    write(root, "pairs.csv", *lines, "p2.png,p0.png,1")
    folders = {"data_dir": str(root.parent / "tfds"), "manual_dir": str(root)}
    command.check("folder_face_blur", **folders)
    warnings = capsys.readouterr().err
    assert "cycle (1)" in warnings and "p0.png < p1.png < p2.png < p0.png" in warnings

    write(root, "pairs.csv", *lines, "p2.png,p2.png,1")
    arguments = ["--dataset=folder_face_blur", "--check", *(f"--{flag}={path}" for flag, path in folders.items())]
    status, _, err = forked.run("-m", "tfds_builders.prepare", *arguments)
    assert status == 1 and "pairs.csv:7: 'p2.png'" in err and "Traceback" not in err
    assert not (root.parent / "tfds").exists()


WITH_STUB = """
import runpy
from tests.helpers import stub_detector
stub_detector.install()
runpy.run_module("tfds_builders.prepare", run_name="__main__", alter_sys=True)
"""


def test_the_command_finds_the_faces_that_it_then_stores(tmp_path):
    root = photos.make(tmp_path / "photos", 12)
    Image.new("RGB", (60, 48)).save(root / "p5.png")  # No face.
    with_face = [path.name for path in sorted(root.glob("*.png")) if stub_detector.count(path)]
    assert 4 <= len(with_face) < 12
    pairs = [f"{left},{right},1" for left, right in zip(with_face, with_face[1:])]
    write(root, "pairs.csv", "left,right,order", *pairs)
    arguments = ["--dataset=folder_face_blur", f"--manual_dir={root}", f"--data_dir={tmp_path / 'tfds'}"]
    process = forked.script(tmp_path, WITH_STUB, *arguments, "--image_size=16", "--faces")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert f"{root}/boxes.csv: found a face in {len(with_face)} of 12 pictures" in err
    assert len(out.splitlines()) == 3
    faces = opened(root).faces
    assert list(faces.names) == with_face and set(faces.sizes) == {30}
    expected = crop_and_resize(picture(int(with_face[0][1:-4])), (0, 0, 30, 30), SMALL)
    np.testing.assert_array_equal(faces.images[0], expected)


def test_faces_that_a_person_corrected_are_used_as_they_are(root, capsys):
    write(root, "boxes.csv", "name,x,y,width,height", *(f"p{i}.png,1,1,20,20" for i in range(6)))
    assert "is used as it is" in command.find_faces("folder_face_blur", str(root))[0]
    prepare(root)
    assert set(opened(root).faces.sizes) == {20}


def test_faces_are_refused_where_nothing_would_use_them(root):
    with pytest.raises(ValueError, match="demo_face_blur does not read boxes.csv; omit --faces"):
        command.find_faces("demo_face_blur", None)
    with pytest.raises(ValueError, match="pass their folder with --manual_dir"):
        command.find_faces("folder_face_blur", None)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        command.find_faces("portrait_blur", "nowhere")
    arguments = ["--dataset=folder_face_blur", f"--manual_dir={root}", "--faces", "--check"]
    status, _, err = forked.run("-m", "tfds_builders.prepare", *arguments)
    assert status == 1 and "--check writes nothing, but --faces writes a boxes.csv" in err
    assert not (root / "boxes.csv").exists()
