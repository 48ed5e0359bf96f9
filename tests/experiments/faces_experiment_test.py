"""What finding faces costs: which found box is the annotator's face, and the tables."""

import numpy as np
import pytest
from PIL import Image

from blur_jax.data import face_boxes
from blur_jax.data.face_boxes import Face
from experiments import faces
from tests.helpers import scored


def test_the_box_that_overlaps_most_is_the_face():
    # The square of 1.1 * 100 pixels around the annotator's box is (45, 45, 110, 110).
    near, nearer = Face((55, 45, 110, 110), 0.8), Face((50, 45, 110, 110), 0.9)
    assert faces.same_face([near, nearer], (60, 50, 80, 100), (400, 300)) == nearer.box
    assert faces.same_face([near], (60, 50, 80, 100), (400, 300)) == near.box
    assert faces.same_face([Face((85, 45, 110, 110), 0.9)], (60, 50, 80, 100), (400, 300)) is None  # 70 / 150.
    assert faces.same_face([], (60, 50, 80, 100), (400, 300)) is None
    assert faces.same_face([near], (60, 50, 8, 10), (400, 300)) is None


@pytest.mark.parametrize(("box", "share"), [((0, 0, 10, 10), 1), ((5, 0, 10, 10), 1 / 3), ((0, 10, 10, 10), 0)])
def test_intersection_over_union(box, share):
    assert faces.overlap((0, 0, 10, 10), box) == pytest.approx(share)


def test_recall_by_size_and_rank():
    sizes, found = np.array([31.9, 32, 50, 50, 300]), [None, (0, 0, 9, 9), None, (0, 0, 9, 9), (0, 0, 9, 9)]
    searched = faces.Search(np.zeros(5, int), np.array([0, 0, 0, 2, 2]), sizes, [], [], found, np.zeros(5))
    header, rows = faces.recall(searched)
    assert header == ["shorter side in pixels", "rank 0", "rank 2", "all"]
    assert rows == [
        ["below 32", "0.000 (1)", "", "0.000 (1)"],
        ["32-40", "1.000 (1)", "", "1.000 (1)"],
        ["48-64", "0.000 (1)", "1.000 (1)", "0.500 (2)"],
        ["200 and more", "", "1.000 (1)", "1.000 (1)"],
        ["all", "0.333 (3)", "1.000 (2)", "0.600 (5)"],
    ]


def test_a_face_that_is_not_found_counts_as_the_blurriest():
    """Six faces of one size; the found boxes order them like the annotators', whose only mistake is the last face."""
    ranks, supplied = np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.05])
    found = supplied.copy()
    found[5] = np.nan
    searched = faces.Search(np.zeros(6, int), ranks, np.full(6, 50.0), [], [], [], np.zeros(6))
    first, second = faces.compare(searched, supplied, found + 0.01, resamples=20)
    assert first[1] == "5" and [cell[:5] for cell in first[2:5]] == ["1.000", "1.000", "0.000"]
    assert first[5:] == ["1.000", "+0.010"]
    assert second[1] == "6" and [cell[:5] for cell in second[2:5]] == ["0.667", "1.000", "0.333"]
    assert second[5:] == ["", ""]


def test_the_experiment_writes_its_tables(release, tmp_path, monkeypatch):
    """The stand-in for a detector finds the annotators' box in all but the blurriest pictures of 64 pixels."""
    monkeypatch.setattr(face_boxes, "check", lambda: None)
    level_of = {Image.open(path).tobytes(): path.name.split("x")[1][0] for path in (release / "LFW").iterdir()}

    def find(image):
        return [] if level_of[image.tobytes()] == "2" else [Face((0, 0, 60, 60), 0.9)]

    monkeypatch.setattr(face_boxes, "find", find)
    faces.run(str(scored.make_run(tmp_path / "run")), str(release), resamples=20, workdir=str(tmp_path / "faces"))
    text = (tmp_path / "faces" / "faces.md").read_text()
    assert "| found | 30 |" in text and "| 48-64 | 1.000 (15) | 1.000 (15) | 0.000 (15) | 0.667 (45) |" in text
    assert "median time to find the faces in a picture" in text


def test_lists_without_tests_are_refused(tmp_path):
    with pytest.raises(ValueError, match="SSRanking_OBA_test_test1.txt"):
        faces.search(str(tmp_path))
