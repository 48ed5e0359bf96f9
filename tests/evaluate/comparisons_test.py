"""Reading comparisons and qualities: every error names its line."""

import math

import numpy as np
import pytest

from blur_jax.data.left_out import LeftOut
from blur_jax.evaluate import comparisons
from blur_jax.evaluate.comparisons import Measure


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "file.csv"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_comparisons_are_read(write):
    text = 'left,right,similarity,mated\na.jpg,b.jpg,0.9,1\n"c, d.jpg",a.jpg,-0.5,no\n'
    found = comparisons.read_comparisons(write(text))
    assert (found.left, found.right) == (["a.jpg", "c, d.jpg"], ["b.jpg", "a.jpg"])
    assert (found.similarity.tolist(), found.mated.tolist()) == ([0.9, -0.5], [True, False])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left,right,similarity\na,b,1\n", r"the header must have the columns .*mated; found 'left,right,similarity'"),
        ("", r"the header must have the columns left, right, similarity, mated"),
        ("left,right,similarity,mated\na,b,1,1\na,b,1,maybe\n", r"csv:3: mated must be 1 or 0, found 'maybe'"),
        ("left,right,similarity,mated\na,b,nan,1\n", r"csv:2: similarity must be a number, found 'nan'"),
        ("left,right,similarity,mated\na,b\n", r"csv:2: mated must be 1 or 0, found None"),
    ],
)
def test_other_comparisons_are_refused(write, text, message):
    with pytest.raises(ValueError, match=message):
        comparisons.read_comparisons(write(text))


@pytest.mark.parametrize(
    ("text", "higher"),
    [("sharpness", True), ("blur", False), ("blur:lower", False), ("ofiq:higher", True), ("noise:lower", False)],
)
def test_measures_know_which_way_is_better(text, higher):
    assert comparisons.parse_measure(text) == Measure(text.split(":")[0], higher)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ofiq", "ofiq:higher or ofiq:lower"),
        ("ofiq:up", "which direction"),
        ("blur:higher", "lower blur is better"),
    ],
)
def test_directions_are_never_mixed(text, message):
    with pytest.raises(ValueError, match=message):
        comparisons.parse_measure(text)


def test_qualities_are_larger_where_better_and_none_is_the_worst(write):
    path = write("name,status,blur,sharpness\na,ok,0.25,75\nb,failed,,\n")
    found = comparisons.read_qualities(path, [Measure("blur", False), Measure("sharpness", True)])
    assert {name: values.tolist() for name, values in found.items()} == {
        "a": [-0.25, 75.0],
        "b": [-math.inf, -math.inf],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,blur\na,0.5\n", "the header must have the columns name, sharpness"),
        ("name,sharpness\na,50\na,60\n", "csv:3: 'a' has two rows"),
        ("name,sharpness\na,high\n", "csv:2: sharpness must be a number, found 'high'"),
    ],
)
def test_other_qualities_are_refused(write, text, message):
    with pytest.raises(ValueError, match=message):
        comparisons.read_qualities(write(text), [Measure("sharpness", True)])


def test_the_pictures_of_mated_comparisons_are_looked_up():
    compared = comparisons.Comparisons(["a", "b"], ["b", "c"], np.zeros(2), np.array([False, True]))
    qualities = {name: np.array([value]) for name, value in {"a": 1.0, "b": 2.0, "c": 3.0}.items()}
    np.testing.assert_array_equal(comparisons.mated_qualities(compared, qualities, "x.csv"), [[[2.0]], [[3.0]]])
    del qualities["a"]
    with pytest.raises(ValueError, match=r"x\.csv: no row for 'a' \(1 compared pictures have no row\)"):
        comparisons.mated_qualities(compared, qualities, "x.csv")


def of(similarity, mated):
    return comparisons.Comparisons([""] * len(mated), [""] * len(mated), np.array(similarity), np.array(mated, bool))


@pytest.mark.parametrize(
    ("similarity", "mated", "share"),
    [
        ([0.2, 0.4, 1.1, 0.3], [1, 1, 0, 0], "25%"),  # Distances.
        ([-0.9, -0.8, -0.1], [0, 1, 1], None),
        ([-0.9, -0.8, -0.1], [1, 0, 0], "0%"),  # Mated the wrong way around.
        ([5, 5, 5], [1, 0, 0], None),  # Equal similarities count one half.
        ([300, 20, 250, 300], [1, 1, 0, 0], "38%"),  # 20 is below both; 300 equals one and exceeds the other.
        ([0.1, 0.2], [1, 1], None),
    ],
)
def test_mated_comparisons_must_be_the_more_similar_ones(similarity, mated, share):
    if share is None:
        comparisons.check_direction(of(similarity, mated), "c.csv")
    else:
        with pytest.raises(ValueError, match=rf"c\.csv: mated .* less similar .*only {share} .* negate .* distances"):
            comparisons.check_direction(of(similarity, mated), "c.csv")


def test_names_match_however_they_are_spelled_and_other_columns_are_counted(write, tmp_path):
    left_out = LeftOut()
    text = "Left,right,similarity,mated,camera\n./a.jpg,caf\u00e9\\b.jpg,0.5,1,x\n"
    compared = comparisons.read_comparisons(write(text), left_out)
    (tmp_path / "scores.csv").write_text("name,status,blur\na.jpg,ok,0.5\ncafe\u0301//b.jpg,ok,0.1\n")
    measures = [Measure("blur", False)]
    qualities = comparisons.read_qualities(str(tmp_path / "scores.csv"), measures, left_out)
    assert comparisons.mated_qualities(compared, qualities, "scores.csv").shape == (2, 1, 1)
    assert list(left_out.columns.values()) == [["camera"]]
    qualities["photos/A.jpg"] = qualities.pop("a.jpg")
    with pytest.raises(ValueError, match=r"no row for 'a.jpg' .*; did you mean 'photos/A.jpg'"):
        comparisons.mated_qualities(compared, qualities, "scores.csv")


def test_boxes_in_comparisons_are_refused(write):
    with pytest.raises(ValueError, match="csv:1: the columns 'bbox' look like a box, but this table cannot have boxes"):
        comparisons.read_comparisons(write("left,right,similarity,mated,bbox\na,b,1,1,3\n"))
