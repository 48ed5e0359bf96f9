"""Score tables are read as they were written, and damage is named."""

import os

import pytest

from blur_jax.score import results, tables
from blur_jax.score.results import Result

NAMES = ["a.jpg", 'comma, "quote".jpg', "line\nbreak\rreturn.jpg", " space .jpg", "ünï.jpg"]
COLUMNS = ["name", "x", "y", "width", "height", "status", "reason", "blur", "sharpness", "keep"]


def write(path, names):
    rows = []
    for index, name in enumerate(names):
        row = dict.fromkeys(COLUMNS) | {"name": name, "x": 1, "y": 2, "width": 3, "height": 4, "status": "ok"}
        rows.append(row | {"blur": index / 10, "sharpness": 50.0, "keep": "keep" if index % 2 else "discard"})
    rows[0] |= {"status": "failed", "reason": "it is\nbroken", "blur": None, "sharpness": None, "keep": None}
    tables.write(str(path), COLUMNS, rows, {})
    return str(path)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path, ending):
    names = NAMES if ending == "parquet" else [*NAMES, os.fsdecode(b"\xff.jpg")]
    expected = [Result(name, index / 10, ("discard", "keep")[index % 2]) for index, name in enumerate(names)]
    expected[0] = Result(names[0], None, None)
    assert list(results.read(write(tmp_path / f"scores.{ending}", names))) == expected


@pytest.mark.parametrize("name", ["back\\slash.jpg", os.fsdecode(b"\xff.jpg")])
def test_a_name_that_parquet_cannot_state_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"has a backslash.*write the table as \.csv or \.jsonl"):
        list(results.read(write(tmp_path / "scores.parquet", ["a.jpg", name])))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",0.5,keep", "scores.csv:3: '' is not a file name"),
        ("b,1.5,keep", "blur must be a number from 0 to 1, found '1.5'"),
        ("b,nan,keep", "found 'nan'"),
        ("b,much,keep", "found 'much'"),
        ("b,0.5,yes", "keep must be keep, discard or empty, found 'yes'"),
    ],
)
def test_a_damaged_row_is_named(tmp_path, monkeypatch, row, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text(f"name,blur,keep\na,0.5,keep\n{row}\n")
    with pytest.raises(ValueError, match=message):
        list(results.read("scores.csv"))


@pytest.mark.parametrize("line", ["[1]", "{", '{"name": 3, "blur": 0.5}', '{"name": "a\\u0000", "blur": 0.5}'])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "scores.jsonl").write_text(f'{{"name": "a", "blur": 0.5}}\n{line}\n')
    with pytest.raises(ValueError, match=r"scores\.jsonl:2"):
        list(results.read(str(tmp_path / "scores.jsonl")))
