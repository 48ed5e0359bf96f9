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


CHANGES = [
    *({"keep_below": value} for value in ("0.8", float("nan"), -0.1, True, 10**400)),
    *({"quantity": "sharpness"}, {"quantity": "x" * 10**6}, {"checkpoint": None}, {"interval": 3}),
    *({"more": 1}, {"rule": 1}),
]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", "[" * 100_000, *(json.dumps(WHOLE.to_dict() | change) for change in CHANGES)]
)
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "threshold.json").write_text(content)
    with pytest.raises(ValueError, match=r"threshold\.json: damaged .*run blur_jax.threshold again") as caught:
        read_threshold(tmp_path)
    assert len(str(caught.value)) < 1000
