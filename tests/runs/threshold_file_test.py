"""The threshold of a run, on disk."""

import json

import pytest

from blur_jax.runs.threshold import Threshold, read_threshold, threshold_path, write_threshold

WHOLE = Threshold(
    keep_below=0.83,
    source="to discard 0.1 of pictures like PHOTOS",
    checkpoint="0123456789abcdef",
    step=200,
    rule="discard",
    target=0.1,
    pictures=998,
    interval=(0.08, 0.12),
    date="2026-11-25",
)


def test_a_threshold_comes_back_as_it_was(tmp_path):
    assert read_threshold(tmp_path) is None
    path = write_threshold(tmp_path, WHOLE)
    assert read_threshold(tmp_path) == WHOLE
    assert path == tmp_path / "threshold.json"
    assert [file.name for file in tmp_path.iterdir()] == ["threshold.json"]


def test_the_file_says_what_it_is_about(tmp_path):
    written = json.loads(write_threshold(tmp_path, WHOLE).read_text())
    assert written["quantity"] == "blur"
    assert "larger is blurrier" in written["direction"]
    assert (written["keep_below"], written["checkpoint"], written["step"]) == (0.83, "0123456789abcdef", 200)


def test_it_lies_in_the_run_for_a_path_of_its_checkpoint_too(tmp_path):
    (tmp_path / "run" / "checkpoints" / "200" / "meta").mkdir(parents=True)
    (tmp_path / "alone" / "meta").mkdir(parents=True)
    for path in ("run", "run/checkpoints", "run/checkpoints/200"):
        assert threshold_path(tmp_path / path) == tmp_path / "run" / "threshold.json"
    assert threshold_path(tmp_path / "alone") == tmp_path / "threshold.json"


def test_a_threshold_of_another_checkpoint_is_refused(tmp_path):
    write_threshold(tmp_path, WHOLE)
    assert read_threshold(tmp_path, checkpoint="0123456789abcdef") == WHOLE
    with pytest.raises(ValueError, match=r"checkpoint '0123456789abcdef' \(step 200\), not .*or pass --keep-below"):
        read_threshold(tmp_path, checkpoint="fedcba9876543210")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps(WHOLE.to_dict() | {"keep_below": "0.8"}),
        json.dumps(WHOLE.to_dict() | {"keep_below": float("nan")}),
        json.dumps(WHOLE.to_dict() | {"keep_below": -0.1}),
        json.dumps(WHOLE.to_dict() | {"keep_below": True}),
        json.dumps(WHOLE.to_dict() | {"quantity": "sharpness"}),
        json.dumps(WHOLE.to_dict() | {"checkpoint": None}),
        json.dumps(WHOLE.to_dict() | {"quantity": "x" * 10**6}),
        json.dumps(WHOLE.to_dict() | {"interval": 3}),
        json.dumps(WHOLE.to_dict() | {"more": 1}),
        json.dumps(WHOLE.to_dict() | {"keep_below": 10**400}),
        json.dumps(WHOLE.to_dict() | {"rule": 1}),
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "threshold.json").write_text(content)
    with pytest.raises(ValueError, match=r"threshold\.json: damaged .*run blur_jax.threshold again") as caught:
        read_threshold(tmp_path)
    assert len(str(caught.value)) < 1000
