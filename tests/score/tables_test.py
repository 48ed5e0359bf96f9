"""Tables of scores: the same rows in three formats, names and all."""

import csv
import json
import os

import numpy as np
import pytest
from pyarrow import parquet

from blur_jax.score import tables
from blur_jax.score.journal import Row

# blur 0.25 -> sharpness 75; 0.5 -> 50.
ROWS = [
    Row("a.jpg", (1, 2, 3, 4), 0.25, None),
    Row('comma, "quote"\nline.jpg', None, 0.5, None),
    Row("return\r.jpg", None, None, "it is a folder"),
    Row(os.fsdecode(b"\xff\xfe.jpg"), None, 0.123456789, None),
]
STATUS = ["ok", "ok", "failed", "ok"]
BLUR = [0.25, 0.5, None, 0.123457]


def columns(blur):
    assert blur.dtype == np.float32
    return {"blur": blur, "sharpness": 100 * (1 - blur), "keep": np.where(blur < 0.3, "keep", "discard")}


def write(path, rows=ROWS, **options):
    with_boxes = options.get("with_boxes", True)
    names = tables.column_names(columns, with_boxes=with_boxes)
    tables.write(str(path), names, tables.records(rows, columns, with_boxes=with_boxes), {"blur": "larger is blurrier"})
    return names


def read_csv(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def test_the_order_of_the_columns(tmp_path):
    expected = ["name", "x", "y", "width", "height", "status", "reason", "blur", "sharpness", "keep"]
    expected += ["reduction", "flags"]
    assert write(tmp_path / "t.csv") == expected
    assert list(read_csv(tmp_path / "t.csv")[0]) == expected
    assert write(tmp_path / "t.csv", with_boxes=False) == [*expected[:1], *expected[5:]]


def test_csv(tmp_path):
    write(tmp_path / "t.csv")
    rows = read_csv(tmp_path / "t.csv")
    assert [row["name"] for row in rows] == [row.name for row in ROWS]
    assert [row["status"] for row in rows] == STATUS
    assert [row["blur"] for row in rows] == ["0.25", "0.5", "", "0.123457"]
    assert [row["sharpness"] for row in rows] == ["75.0", "50.0", "", "87.6543"]
    assert [row["keep"] for row in rows] == ["keep", "discard", "", "keep"]
    assert [row["reason"] for row in rows] == ["", "", "it is a folder", ""]
    assert [row["x"] for row in rows] == ["1", "", "", ""]
    assert b"\n\xff\xfe.jpg,," in (tmp_path / "t.csv").read_bytes()


def test_a_name_that_a_spreadsheet_would_run_stays_exact(tmp_path):
    """Rows are found by it; docs/scoring.md says what to do."""
    names = [f"{start}1+1.jpg" for start in "=+-@\t\r"]
    write(tmp_path / "SCORES.CSV", [Row(name, None, 0.25, None) for name in names])
    assert [row["name"] for row in read_csv(tmp_path / "SCORES.CSV")] == names


def test_what_cannot_be_written_leaves_no_file(tmp_path):
    for ending in ("csv", "parquet"):
        with pytest.raises(UnicodeEncodeError):
            write(tmp_path / f"t.{ending}", [Row("\ud800.jpg", None, 0.25, None)])
    assert os.listdir(tmp_path) == []


def test_json_lines(tmp_path):
    write(tmp_path / "t.jsonl")
    with open(tmp_path / "t.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert [row["name"] for row in rows] == [row.name for row in ROWS]
    assert [row["blur"] for row in rows] == BLUR
    assert [row["reason"] for row in rows] == [None, None, "it is a folder", None]
    assert [row["width"] for row in rows] == [3, None, None, None]
    assert rows[2]["keep"] is None


def test_parquet(tmp_path):
    write(tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table["name"].to_pylist() == [*[row.name for row in ROWS[:3]], r"\xff\xfe.jpg"]
    assert table["status"].to_pylist() == STATUS
    assert table["blur"].to_pylist() == BLUR
    assert table["height"].to_pylist() == [4, None, None, None]
    assert json.loads(table.schema.metadata[b"blur_jax"]) == {"blur": "larger is blurrier"}


@pytest.mark.parametrize("ending", tables.ENDINGS)
def test_no_rows_make_a_table_with_columns(tmp_path, ending):
    write(tmp_path / f"t{ending}", [])
    if ending == ".csv":
        assert (tmp_path / "t.csv").read_text().startswith("name,x,y,width,height,status,reason,blur")
    if ending == ".parquet":
        assert parquet.read_table(tmp_path / "t.parquet").num_rows == 0


def test_more_rows_than_are_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_CHUNK", 3)
    rows = [Row(f"{index}.jpg", None, index / 100, None) for index in range(20)]
    for ending in tables.ENDINGS:
        write(tmp_path / f"t{ending}", rows)
    expected = [round(index / 100, 6) for index in range(20)]
    assert [float(row["blur"]) for row in read_csv(tmp_path / "t.csv")] == expected
    assert parquet.read_table(tmp_path / "t.parquet")["blur"].to_pylist() == expected
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 20


def test_a_table_is_whole_or_not_there(tmp_path):
    (tmp_path / "t.csv").write_text("old")

    def broken():
        yield from ROWS[:2]
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write(tmp_path / "t.csv", broken())
    assert (tmp_path / "t.csv").read_text() == "old"
    write(tmp_path / "t.csv")
    assert os.listdir(tmp_path) == ["t.csv"]
