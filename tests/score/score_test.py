"""The scoring command: every input becomes a row of the table."""

import io
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from blur_jax.runs.threshold import Threshold, threshold_path, write_threshold
from tests.helpers import bad_pictures
from tests.helpers.scored import blur_of, command, open_text, read


def test_a_folder_becomes_a_table(run, scorer, photos, capsys):
    assert command(run, "photos") == 0
    rows, files = read(), sorted(f"photos/{name}" for name in os.listdir("photos"))
    assert [row["name"] for row in rows] == files
    expected = scorer.score(files)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose([float(row["blur"]) for row in rows], expected, atol=1e-5)
    np.testing.assert_allclose([float(row["sharpness"]) for row in rows], 100 * (1 - expected), atol=1e-3)
    assert list(rows[0]) == [
        "name", "status", "reason", "blur", "sharpness", "blur_percentile", "p_blurrier_than_anchor", "reduction",
        "flags",
    ]  # fmt: skip
    assert capsys.readouterr().out.startswith("scores.csv: 20 scored, 0 failed;")
    assert sorted(os.listdir(".")) == ["photos", "scores.csv", "scores.csv.json"]


def test_the_batch_size_and_the_threads_change_no_score(run, scorer, photos):
    assert command(run, "photos", "--batch-size=7", "--threads=3") == 0
    np.testing.assert_allclose(list(blur_of().values()), scorer.score(sorted(photos.iterdir())), atol=1e-5)


def test_standard_input(run, photos, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"photos/03.png\nphotos/01.png\nphotos/03.png\n")))
    assert command(run, "-") == 0
    assert [row["name"] for row in read()] == ["photos/03.png", "photos/01.png"]


def test_every_bad_file_is_a_row_with_its_reason_and_the_others_are_scored(run, photos, capsys):
    command(run, "photos", output="good.csv")
    bad = [*bad_pictures.make(photos), "gone.jpg", "dot.png", "long.png", "wide.png"]
    (photos / "gone.jpg").symlink_to("nowhere")
    Image.new("RGB", (1, 1)).save(photos / "dot.png")
    Image.new("RGB", (20000, 1)).save(photos / "long.png")
    Image.new("RGB", (400, 40)).save(photos / "wide.png")
    assert command(run, "photos") == 1
    rows = {os.path.basename(row["name"]): row for row in read()}
    failed = {name: row for name, row in rows.items() if row["status"] == "failed"}
    assert sorted(failed) == sorted(bad)
    assert all(row["reason"] and not row["blur"] for row in failed.values())
    assert "too elongated to judge" in failed["wide.png"]["reason"]
    assert failed["loop.jpg"]["reason"] == "its symbolic links form a loop"
    assert blur_of() == blur_of("good.csv")
    assert f"20 scored, {len(failed)} failed; see the reason column" in capsys.readouterr().out


def test_the_same_rows_in_every_format(run, photos):
    (photos / "bad.jpg").write_text("x")
    for ending in ("csv", "jsonl", "parquet"):
        assert command(run, "photos", output=f"scores.{ending}") == 1
    rows = [json.loads(line) for line in open_text("scores.jsonl").splitlines()]
    assert parquet.read_table("scores.parquet").to_pylist() == rows
    assert [row["name"] for row in read()] == [row["name"] for row in rows]
    assert [float(row["blur"]) for row in read() if row["blur"]] == [row["blur"] for row in rows if row["blur"]]
    metadata = parquet.read_schema("scores.parquet").metadata[b"blur_jax"]
    assert json.loads(metadata)["columns"]["blur"] == "in [0, 1], larger is blurrier"


def test_a_threshold_an_anchor_a_sheet_and_the_statement(run, scorer, photos):
    threshold = float(np.median(scorer.score(sorted(photos.iterdir()))))
    command(run, "photos", f"--keep-below={threshold}", "--anchor=0.25", "--sheet=sheet.html")
    for row in read():
        assert row["keep"] == ("keep" if float(row["blur"]) < threshold else "discard")
        # A Bradley-Terry scale of 1 and an anchor of 1/4: the odds of blur are multiplied by 3.
        odds = 3 * float(row["blur"]) / (1 - float(row["blur"]))
        assert float(row["p_blurrier_than_anchor"]) == pytest.approx(odds / (1 + odds), abs=1e-4)
    assert {row["keep"] for row in read()} == {"keep", "discard"}
    page = open_text("sheet.html")
    assert page.count("data:image/webp") == 20 and "photos/07.png" in page and "<div class=line>" in page
    stated = json.loads(open_text("scores.csv.json"))
    assert list(stated["columns"]) == list(read()[0])
    assert stated["checkpoint"]["fingerprint"] == scorer.fingerprint
    assert stated["calibration"]["reference"] == "a test"
    assert stated["keep_below"] == threshold
    assert [stated["summary"][key] for key in ("rows", "failed", "with_boxes")] == [20, 0, False]


def test_the_threshold_of_the_run_is_used(run, scorer, photos, capsys):
    try:
        write_threshold(run, Threshold(1.0, "a test", scorer.fingerprint))
        assert command(run, "photos") == 0
        assert {row["keep"] for row in read()} == {"keep"}
        assert json.loads(open_text("scores.csv.json"))["threshold"]["source"] == "a test"
        write_threshold(run, Threshold(1.0, "a test", "0" * 16))
        assert command(run, "photos", output="other.csv") == 2
        assert "not for the loaded checkpoint" in capsys.readouterr().err
        assert command(run, "photos", "--keep-below=0.5", output="other.csv") == 0
    finally:
        threshold_path(run).unlink()


def test_boxes_give_rows_of_their_own(run, scorer, photos):
    (photos / "boxes.csv").write_text("name,x,y,width,height\n00.png,0,0,20,20\n00.png,9,9,30,30\n01.png,0,0,99,9\n")
    assert command(run, "photos") == 1
    rows = read()
    assert [row["x"] for row in rows[:4]] == ["0", "9", "0", ""]
    assert "extends beyond the 48 x 40" in rows[2]["reason"]
    expected = scorer.score(["photos/00.png"] * 2, boxes=[(0, 0, 20, 20), (9, 9, 30, 30)])
    np.testing.assert_allclose([float(row["blur"]) for row in rows[:2]], expected, atol=1e-5)


def test_shards_together_are_the_whole(run, photos):
    command(run, "photos", output="whole.csv")
    found = {}
    for index in range(2):
        assert command(run, "photos", f"--shard={index}/2", output=f"{index}.csv") == 0
        found |= blur_of(f"{index}.csv")
    whole = blur_of("whole.csv")
    assert sorted(found) == sorted(whole)
    np.testing.assert_allclose([found[name] for name in whole], list(whole.values()), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos", "--output=scores.txt"], "--output=scores.txt must end in .csv or .jsonl or .parquet"),
        (["photos", "--keep-below=2"], "must be a score from 0 to 1, not '2'"),
        (["photos", "--anchor=x"], "must be a score from 0 to 1, not 'x'"),
        (["photos", "--batch-size=0"], "must be a whole number, 1 or more"),
        (["photos", "--shard=3/3"], "must be I/N with I from 0 to N - 1"),
        (["photos", "--checkpoint=nowhere"], "no checkpoint here"),
        (["photos/*.tif"], "no file matches"),
        (["photos/empty"], "no pictures found in photos/empty"),
        (["photos", "--output=no/such/folder/scores.csv"], "does not exist; create it"),
        ([], "required: PATH"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(run, photos, capsys, arguments, message):
    (photos / "empty").mkdir()
    try:
        assert command(run, *arguments) == 2
    except SystemExit as stopped:
        assert stopped.code == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not os.path.exists("scores.csv")


def test_the_summary_and_the_statement_say_what_is_left_out(run, photos, capsys):
    (photos / "a.xcf").touch()
    (photos / "list.csv").write_text("name,who\n00.PNG,Ann\n00.PNG,Bob\n")
    assert command(run, "photos", "photos/list.csv") == 1
    said = ["left out 1 file that is not a picture, by extension: 1 .xcf", "photos/list.csv: ignored columns: who"]
    said.append("photos/list.csv: 1 row repeats an earlier name and box; each picture or face counts once")
    assert capsys.readouterr().out.splitlines()[-3:] == said
    stated = json.loads(open_text("scores.csv.json"))["left_out"]
    assert stated["files"] == {".xcf": 1} and stated["columns"] == {"photos/list.csv": ["who"]}
    assert "did you mean" in read()[-1]["reason"]
    assert command(run, "photos", "photos/list.csv") == 1  # The finished table says it again.
    assert capsys.readouterr().out.splitlines()[-3:] == said
