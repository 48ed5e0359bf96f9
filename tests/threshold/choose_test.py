"""Choosing thresholds with a scorer that gives each picture the score in its name."""

import itertools

import numpy as np
import pytest

from blur_jax.metrics.calibration import Calibration
from blur_jax.score.inputs import Input
from blur_jax.score.pipeline import Scored
from blur_jax.threshold import choose
from blur_jax.threshold.choose import Example


class FakeScorer:
    fingerprint, step = "0123456789abcdef", 200
    calibration = Calibration("100 faces", tuple(np.arange(101) / 100))

    def score_each(self, pictures, *, batch_size):
        pictures = iter(pictures)
        while batch := list(itertools.islice(pictures, batch_size)):
            for picture in batch:
                broken = "broken" in picture.name
                yield picture, Scored(None, "it is broken") if broken else Scored(float(picture.name), None)


def inputs(scores):
    return [Input(f"{score:.4f}", None) for score in scores]


def test_a_discard_rate():
    pictures = [*inputs(np.arange(40) / 100), Input("broken.jpg", None)]
    chosen = choose.for_discard(FakeScorer(), pictures, 0.1, source="PHOTOS", batch_size=3)
    threshold = chosen.threshold
    assert threshold.keep_below == pytest.approx(0.355)
    assert (threshold.checkpoint, threshold.step) == ("0123456789abcdef", 200)
    assert (threshold.rule, threshold.target, threshold.pictures) == ("discard", 0.1, 40)
    # Clopper and Pearson's interval of 4 of 40.
    assert threshold.interval == pytest.approx((0.0279, 0.2366), abs=1e-4)
    assert chosen.lines == [
        "scored 40 of 41 pictures; 1 could not be scored, for example broken.jpg: it is broken",
        "keep pictures with blur below 0.3550 (sharpness above 64.50, percentile below 35.5 among 100 faces)",
        "discards 10.0% (4 of 40; 95% interval 2.8% to 23.7%)",
    ]


def test_too_few_that_can_be_scored_say_so():
    pictures = [Input("broken.jpg", None)] * 50
    with pytest.raises(ValueError, match="50 could not be scored, for example broken.jpg: it is broken: 0 pictures"):
        choose.for_discard(FakeScorer(), pictures, 0.1, source="PHOTOS")


def examples(good, bad):
    return [Example(picture, True) for picture in inputs(good)] + [Example(picture, False) for picture in inputs(bad)]


GOOD, BAD = np.arange(40) / 100, 0.3 + np.arange(40) / 100  # 0.00 to 0.39 and 0.30 to 0.69.


def choose_for(rule, good, bad):
    return choose.for_examples(FakeScorer(), examples(good, bad), rule, 0.05, source="labels.csv")


# Discarded good pictures and kept bad ones, of 40 each.
@pytest.mark.parametrize(
    ("rule", "keep_below", "lost", "kept"), [("lose-good", 0.375, 2, 8), ("keep-bad", 0.315, 8, 2)]
)
def test_an_error_rate(rule, keep_below, lost, kept):
    chosen = choose_for(rule, GOOD, BAD)
    assert chosen.threshold.keep_below == pytest.approx(keep_below)
    assert f"good pictures discarded: {lost / 0.4:.1f}% ({lost} of 40;" in chosen.lines[2]
    assert f"bad pictures kept: {kept / 0.4:.1f}% ({kept} of 40;" in chosen.lines[3]
    assert "5% of " in chosen.threshold.source
    assert "pictures, based on 40 good and 40 bad examples in labels.csv" in chosen.threshold.source
    assert (chosen.threshold.rule, chosen.threshold.pictures) == (rule, 40)


def test_examples_that_do_not_suffice():
    assert len(choose_for("lose-good", GOOD, []).lines) == 3  # Good pictures alone will do.
    with pytest.raises(ValueError, match="0 bad pictures are too few"):
        choose_for("keep-bad", GOOD, [])
    assert "blur does not tell them apart" in choose_for("lose-good", GOOD, GOOD).lines[-1]


def test_examples_are_read(tmp_path):
    (tmp_path / "labels.csv").write_text('name, label,x,y,width,height\na.jpg,good,1,2,30,40\n"b, c.jpg", Bad,,,,\n')
    assert choose.read_examples(tmp_path / "labels.csv") == [
        Example(Input(str(tmp_path / "a.jpg"), (1, 2, 30, 40)), True),
        Example(Input(str(tmp_path / "b, c.jpg"), None), False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na.jpg,good\nb.jpg,fine\n", r"labels.csv:3: the label must be good or bad, found 'fine'"),
        ("name,label\na.jpg,good\na.jpg,bad\n", r"labels.csv:3: 'a.jpg' is already in .*labels.csv:2"),
        ("name,good\na.jpg,1\n", r"labels.csv:1: the header must have the columns name, label; found 'name,good'"),
        ("label\ngood\n", r"the header must have the columns name"),
        ("name,label\n", r"no pictures listed"),
        ("", r"the header must have"),
        ("name,label,x,y,width,height\na.jpg,good,1,2,wide,4\n", r"labels.csv:2: the box"),
    ],
)
def test_other_examples_are_refused(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        choose.read_examples(tmp_path / "labels.csv")
