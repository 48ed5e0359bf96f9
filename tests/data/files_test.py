"""Output paths are checked before hours of work."""

import pytest

from blur_jax.data import files


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("scores.txt", r"must end in \.csv or \.jsonl"),
        ("scores.csv.gz", "must end in"),
        ("folder.csv", "is a folder"),
        ("no/such/scores.csv", "the folder no/such does not exist; create it"),
        ("./list.csv", "is also an input"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "list.csv").touch()
    files.check_output("--output", "scores.csv", (".csv", ".jsonl"), ["list.csv", "nowhere.csv"])
    files.check_output("--output", "SCORES.CSV", (".csv",), [])
    with pytest.raises(ValueError, match=message):
        files.check_output("--output", path, (".csv", ".jsonl"), [str(tmp_path / "list.csv"), "photos"])
