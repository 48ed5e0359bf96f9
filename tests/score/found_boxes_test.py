"""The table of found boxes: scored again, corrected, and never replaced."""

import os
import re

import numpy as np
import pytest

from tests.helpers.scored import command, open_text, read

FACES = ["photos", "--faces", "--batch-size=4"]
BOTH = [*FACES, "--boxes=found.csv"]


def test_the_boxes_can_be_scored_again_and_are_found_from_any_folder(run, photos, faces, monkeypatch):
    command(run, *FACES, "--boxes=photos/found.csv")
    lines = open_text("photos/found.csv").splitlines()
    assert lines[0] == "name,x,y,width,height,face_score" and len(lines) == 1 + sum(faces.values())
    assert all(re.fullmatch(r"\d\d\.png,[024],[012],(30|29|28),(30|29|28),0\.[987]", line) for line in lines[1:])
    expected = [row for row in read() if row["status"] == "ok"]
    assert command(run, "photos/found.csv", output="again.csv") == 0
    assert_same(read("again.csv"), expected)
    # The rest of the pictures has no box, so they are searched again.
    os.rename("photos/found.csv", "photos/boxes.csv")
    assert command(run, *FACES, output="renamed.csv") == 1
    assert_same([row for row in read("renamed.csv") if row["status"] == "ok"], expected)


def assert_same(rows, expected):
    keys = ("name", "x", "y", "width", "height")
    assert [[row[key] for key in keys] for row in rows] == [[row[key] for key in keys] for row in expected]
    np.testing.assert_allclose(*([float(row["blur"]) for row in table] for table in (rows, expected)), atol=1e-5)


def test_names_of_boxes_are_found_from_the_folder_of_the_table(run, photos, faces):
    os.mkdir("elsewhere")
    odd = 'photos/comma, "quote".png'
    os.rename("photos/01.png", odd)
    supplied = "name,x,y,width,height\n00.png,1,1,20,20\n"
    (photos / "boxes.csv").write_text(supplied)
    command(run, *FACES, "--boxes=elsewhere/found.csv")
    command(run, *FACES, "--boxes=found.csv", output="other.csv")
    assert open_text("found.csv").splitlines()[1] == "photos/00.png,1,1,20,20,"
    assert command(run, "elsewhere/found.csv", output="again.csv") == command(run, "found.csv", output="near.csv") == 0
    assert {row["name"] for row in read("again.csv")} == {
        str(photos.parent / row["name"]) for row in read() if row["status"] == "ok"
    }
    assert len(read("near.csv")) == len(read("again.csv"))
    assert odd in {row["name"] for row in read("near.csv")} or faces["photos/01.png"] == 0


def test_boxes_are_never_replaced(run, faces, capsys, monkeypatch):
    with open("found.csv", "w") as file:
        file.write("name,x,y,width,height\nmine.jpg,1,2,3,4\n")
    assert command(run, *BOTH) == 2
    assert "--boxes=found.csv already exists and may have been corrected; rename it" in capsys.readouterr().err
    assert sorted(os.listdir(".")) == ["found.csv", "photos"]
    os.unlink("found.csv")
    command(run, *BOTH)
    with open("found.csv", "a") as file:
        file.write("photos/00.png,1,1,20,20,\n")
    corrected = open_text("found.csv")
    assert command(run, *BOTH) == 1  # It is complete.
    assert command(run, *BOTH, "--overwrite") == 2
    with monkeypatch.context() as patch:
        patch.setattr("blur_jax.score.session.found_boxes.write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert command(run, *FACES, "--boxes=found.csv", output="other.csv") == 2
        os.rename("found.csv", "mine.csv")
        assert command(run, *FACES, "--boxes=found.csv", output="other.csv") == 130
    os.rename("mine.csv", "found.csv")
    assert command(run, *FACES, "--boxes=found.csv", output="other.csv") == 2
    assert "found.csv already exists and may have been corrected" in capsys.readouterr().err
    assert open_text("found.csv") == corrected
    os.unlink("found.csv")
    assert command(run, *FACES, "--boxes=found.csv", output="other.csv") == 1
    os.unlink("found.csv")
    assert command(run, *FACES, "--boxes=found.csv", output="other.csv") == 2
    assert "its boxes found.csv are missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--boxes=found.csv"], "add --faces, or omit --boxes"),
        (["--faces", "--boxes=photos/Boxes.csv"], "a boxes.csv would change what the same command scores next time"),
        (["--faces", "--boxes=found.txt"], "--boxes=found.txt must end in .csv"),
        (["--faces", "--boxes=no/found.csv"], "the folder no does not exist"),
        (["--faces", "--boxes=./scores.csv"], "is also the --output"),
    ],
)
def test_wrong_usage_says_what_to_do(run, photos, capsys, arguments, message):
    assert command(run, "photos", *arguments) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(".") == ["photos"]
