"""What the checker reports of a folder: every planted fault, with file and line, and nothing else."""

import os
import sys

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from blur_jax.data import likeness
from tests.helpers import photos
from tests.helpers.paths import SHARED
from tests.helpers.photos import SMALL, picture, resaved, save, write
from tfds_builders.folder_face_blur.findings import examine
from tfds_builders.folder_face_blur.sources import Sources
from tfds_builders.pictures import Failure
from tfds_builders.problems import KINDS

CELEBA = SHARED / "celeba_blur"


def examined(root, allow_missing=False):
    sources = Sources(root, SMALL)
    looks = {name: face if isinstance(face, Failure) else face[1] for name, face in sources.faces.items()}
    return examine(sources, looks, allow_missing=allow_missing)


def found(root, allow_missing=False):
    """(problems, warnings) of a folder, each as sorted (kind, file, line)."""
    findings = examined(root, allow_missing)
    for problem in findings.problems + findings.warnings:
        assert problem.kind in KINDS
    return tuple(sorted(each[:3] for each in of) for of in (findings.problems, findings.warnings))


@pytest.fixture
def root(tmp_path):
    return photos.make(tmp_path / "photos")


def test_a_sound_folder_has_nothing_to_report(root):
    assert found(root) == ([], [])


# What annotators wrote, from line 2 of pairs.csv on.
VOTES = [
    "p0.png,p1.png,1,ann,",  # 2
    "p1.png,p2.png,1,ann,",
    "p0.png,p2.png,-1,ann,",  # 4: p0 < p1 < p2 < p0
    "p1.png,p0.png,-1,ann,",  # 5: the same as line 2
    "p13.png,p14.png,-1,bob,",  # 6
    "p3.png,p4.png,1,ann,",
    "p4.png,p3.png,1,ann,",  # 8: contradicts line 7
    "p5.png,p5.png,0,ann,",  # 9
    "p5.png,nobody.png,1,ann,",  # 10
    "p5.png,T.PNG,1,ann,",  # 11
    "p5.png,../outside.png,1,ann,",  # 12
    "p5.png,loop/p0.png,1,ann,",  # 13
    "p5.png,p6.png,2,ann,",  # 14
    "p5.png,p6.png,1",  # 15
    "p5.png,broken.jpg,1,ann,",  # 16
    "p5.png,small.png,1,ann,",  # 17
    "p5.png,long.png,1,ann,",  # 18: long, but it has a box
    "p5.png,p6.png,1,ann,",
    "p6.png,copy-of-p7.jpg,1,ann,",  # 20: p7 is a test picture
    "p10.png,p6.png,1,ann,",  # 21: a test picture
    "mirrored-p9.png,p6.png,1,ann,",  # 22: p9 is a test picture
    "p11.png,p6.png,1,ann,",  # 23: has no box
    "p12.png,p6.png,1,ann,",  # 24: its box leaves the picture
    "p13.png,p14.png,1,bob,",  # 25: bob contradicts his own line 6
]
# Lines of boxes.csv count from the first of the faulty ones.
PROBLEMS = [
    ("ambiguous name", "unlabeled/p15.png", 0),
    ("contradictory pair", "pairs.csv", 8),
    ("contradictory pair", "pairs.csv", 25),
    ("pair with itself", "pairs.csv", 9),
    ("unknown picture", "pairs.csv", 10),
    ("unknown picture", "pairs.csv", 11),
    ("unsafe path", "pairs.csv", 12),
    ("unknown picture", "pairs.csv", 13),
    ("malformed line", "pairs.csv", 14),
    ("malformed line", "pairs.csv", 15),
    ("unreadable image", "pairs.csv", 16),
    ("too small", "pairs.csv", 17),
    ("train and test, by content", "ranked.csv", 2),
    ("train and test", "ranked.csv", 5),
    ("train and test, by content", "ranked.csv", 4),
    ("missing box", "pairs.csv", 23),
    ("box outside", "boxes.csv", +0),
    ("repeated line", "boxes.csv", +2),
    ("malformed line", "boxes.csv", +3),
    ("repeated line", "ranked.csv", 6),
    ("malformed line", "ranked.csv", 7),
]
WARNINGS = [
    ("cycle", "pairs.csv", 2),
    ("repeated vote", "pairs.csv", 5),
    ("left out", "images/empty.jpg", 0),
    ("left out", "images/loop", 0),
    ("test and unlabeled", "ranked.csv", 3),
    ("same picture", "pairs.csv", 7),
    ("unused box", "boxes.csv", +1),
]


def plant_pictures(tmp_path):
    """Saves sound pictures, unusable ones and copies; returns the folder."""
    root = tmp_path / "photos"
    for seed in range(16):
        save(root, f"images/p{seed}.png", seed)
    save(root, "images/trip/t.png", 50)
    save(root, "images/small.png", 51, size=(12, 12))
    save(root, "images/long.png", 52, size=(200, 20))
    save(root, "unlabeled/u0.png", 60)
    save(root, "unlabeled/p15.png", 61)  # Ambiguous: images/ has one, too.
    (root / "images" / "broken.jpg").write_bytes(b"not a picture")
    (root / "images" / "empty.jpg").write_bytes(b"")  # No table names it.
    (root / "images" / "notes.txt").write_text("no picture, and no fault")
    save(tmp_path, "outside.png", 62)
    os.symlink(root, root / "images" / "loop")
    picture(7).save(root / "images" / "copy-of-p7.jpg", quality=60)
    picture(8).resize((30, 24)).save(root / "unlabeled" / "copy-of-p8.png")
    ImageOps.mirror(picture(9)).save(root / "images" / "mirrored-p9.png")
    picture(3).save(root / "images" / "copy-of-p3.webp", quality=90)
    return root


def plant_tables(root):
    """Writes the tables; returns the line of the first faulty box."""
    write(root, "pairs.csv", "left,right,order,annotator,time", *VOTES)
    write(root, "ranked.csv", "name,rank", "p7.png,1", "p8.png,2", "p9.png,0", "p10.png,1", "p7.png,2", "p13.png,high")
    boxed = [f"p{i}.png" for i in range(16) if i not in (11, 12)]
    boxed += ["trip/t.png", "small.png", "u0.png", "broken.jpg", "empty.jpg", "copy-of-p7.jpg", "copy-of-p8.png"]
    boxed += ["mirrored-p9.png", "copy-of-p3.webp"]
    side = {"small.png": 12, "copy-of-p8.png": 24}
    boxes = [f"{name},0,0,{side.get(name, 40)},{side.get(name, 40)}" for name in boxed]
    boxes += ["p12.png,30,20,40,20", "gone.png,0,0,40,40", "p0.png,1,1,40,40", "p1.png,1.5,1,40,40"]
    boxes += ["long.png,0,0,20,20"]
    write(root, "boxes.csv", "name,x,y,width,height", *boxes)
    return len(boxed) + 2


def test_every_planted_fault_is_reported_with_file_and_line_and_nothing_else(tmp_path):
    root = plant_pictures(tmp_path)
    at = plant_tables(root)
    for expected, reported in zip((PROBLEMS, WARNINGS), found(root)):
        assert reported == sorted((kind, file, line + at * (file == "boxes.csv")) for kind, file, line in expected)


# A picture in forms that people leave lying about.
COPIES = {
    "itself": lambda original: original,
    "jpeg": lambda original: resaved(original, 50),
    "half": lambda original: original.resize((120, 100)),
    "larger": lambda original: original.resize((500, 417)),
    "mirrored": ImageOps.mirror,
    "gray": lambda original: original.convert("L"),
    "brighter": lambda original: ImageEnhance.Brightness(original).enhance(1.3),
    "darker": lambda original: ImageEnhance.Brightness(original).enhance(0.7),
}


@pytest.mark.parametrize("form", COPIES)
def test_a_copy_of_a_test_picture_is_found_under_another_name(root, form):
    save(root, "test.png", 0, size=(240, 200))
    save(root, "p0.png", 100)
    COPIES[form](picture(0, size=(240, 200))).save(root / "other.png")
    write(root, "ranked.csv", "name,rank", "test.png,1")
    write(root, "pairs.csv", "left,right,order", "p0.png,p1.png,1", "p1.png,other.png,1")
    assert found(root) == ([("train and test, by content", "ranked.csv", 2)], [])
    # Nobody labeled it: it is only kept out of the unlabeled pairs.
    write(root, "pairs.csv", "left,right,order", "p0.png,p1.png,1", "p1.png,p2.png,1")
    assert found(root) == ([], [("test and unlabeled", "ranked.csv", 2)])
    assert {name for pair in examined(root).unlabeled for name in pair} == {f"p{i}.png" for i in range(6)}


@pytest.mark.skipif(not CELEBA.is_dir(), reason=f"not in CI, as we may not publish them: the photographs of {CELEBA}")
def test_aligned_faces_of_different_people_are_not_taken_for_copies(monkeypatch):
    """Of 3,000 test and 3,000 unlabeled faces none is a leak; twice in the test, one photograph has two names."""
    assert likeness.SAME == 36
    monkeypatch.setattr(likeness, "SAME", 49)  # So different pictures differ in 50 bits at least.
    problems, warnings = found(CELEBA)
    assert problems == []
    assert warnings == [("same picture", "ranked.csv", 671), ("same picture", "ranked.csv", 1643)]


def test_partial_data_leave_out_what_cannot_be_had_and_nothing_else(root):
    (root / "p0.png").write_bytes(b"damaged")
    write(root, "pairs.csv", "left,right,order", *(f"p{i}.png,p{i + 1}.png,1" for i in range(5)), "gone.png,p1.png,1")
    problems = [("unknown picture", "pairs.csv", 7), ("unreadable image", "pairs.csv", 2)]
    assert found(root) == (problems, [])
    assert found(root, allow_missing=True) == ([], [])
    write(root, "pairs.csv", "left,right,order", "p0.png,p1.png,1", "p1.png,p1.png,1")
    assert found(root, allow_missing=True)[0] == [("pair with itself", "pairs.csv", 3)]


@pytest.mark.parametrize("lines", [[], ["p0.png,p1.png,1"], ["p0.png,p1.png,0", "p1.png,p2.png,0", "p2.png,p3.png,-1"]])
def test_training_and_validation_need_a_pair_each(root, lines):
    write(root, "pairs.csv", "left,right,order", *lines)
    assert found(root) == ([("too few pairs", "pairs.csv", 0)], [])


def test_unlabeled_pictures_without_a_box_are_counted(root):
    write(root, "boxes.csv", "name,x,y,width,height", *(f"p{i}.png,0,0,40,40" for i in range(6)))
    save(root, "a.png", 20)
    save(root, "b.png", 21)
    assert found(root) == ([], [("left out", "boxes.csv", 0)])


def test_pictures_of_unknown_range_or_without_their_package_are_named_whether_compared_or_not(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    dark = Image.fromarray(np.arange(48 * 48, dtype=np.uint16).reshape(48, 48))  # 12 bits in 16.
    for name in ("a", "b"):
        dark.save(root / f"{name}.png")
        (root / f"{name}.cr3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(99))
    write(root, "pairs.csv", "left,right,order", "p0.png,p1.png,1", "p1.png,p2.png,1", "a.png,a.cr3,1")
    sources = Sources(root, SMALL)
    looks = {name: face if isinstance(face, Failure) else face[1] for name, face in sources.faces.items()}
    findings = examine(sources, looks, allow_missing=False)
    assert {(problem.kind, problem.file, problem.line) for problem in findings.problems} == {
        ("unreadable image", "pairs.csv", 4)
    }
    left_out = {problem.file: problem.details for problem in findings.warnings if problem.kind == "left out"}
    assert sorted(left_out) == ["b.cr3", "b.png"]
    assert "pip install rawpy" in left_out["b.cr3"] and "multiply them by 16" in left_out["b.png"]
    assert len(findings.problems) == 2
