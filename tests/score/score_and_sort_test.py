"""The scoring command sorts what it has scored, and finishes what an interrupted command has begun."""

import os

import pytest

from blur_jax.score import session, sorting, undo
from tests.helpers.scored import command, open_text, read
from tests.helpers.sorted_pictures import tree


@pytest.fixture
def threshold(scorer, photos):
    """A flag that keeps about half of the pictures."""
    return f"--keep-below={sorted(scorer.score(sorted(photos.iterdir())))[10]}"


def test_pictures_are_moved_by_the_column_and_put_back(run, photos, threshold, capsys):
    (photos / "bad.jpg").write_text("x")
    before = tree("photos")
    assert command(run, "photos", threshold, "--move-to=out", "--summary") == 1
    lines = capsys.readouterr().out.splitlines()
    assert "20 scored (10 kept, 10 discarded), 1 failed" in lines[0] and lines[2] == "pictures: 21, without a score: 1"
    assert "10 in keep, 10 in discard; not sorted: 1 without a score" in lines[-1]
    for row in read():
        name = os.path.basename(row["name"])
        assert os.path.isfile(f"out/{row['keep']}/{name}" if row["keep"] else f"photos/{name}")
    assert list(tree("photos")) == ["bad.jpg"]
    assert undo.main(["out"]) == 0
    assert tree("photos") == before and not os.path.exists("out")


@pytest.mark.parametrize("flags", [["--copy-to=out"], ["--copy-to=out", "--links"], ["--move-to=out"]])
@pytest.mark.parametrize("paths", [["photos"], ["photos/*.png"], ["photos/list.csv"]])
def test_interrupted_the_same_command_finishes_and_then_says_that_all_is_done(
    run, photos, threshold, capsys, monkeypatch, flags, paths
):
    (photos / "images").mkdir()
    os.rename(photos / "00.png", photos / "images" / "00.png")  # A list need not say "images/".
    (photos / "list.csv").write_text("name\n" + "".join(f"{index:02}.png\n" for index in range(20)))
    before, sort_one, done = tree("photos"), sorting._sort, []

    def interrupt(*arguments):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(sort_one(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(sorting, "_sort", interrupt)
        assert command(run, *paths, threshold, *flags) == 130
    assert "rerun the same command to continue" in capsys.readouterr().err
    monkeypatch.setattr(session, "run", None)
    for _ in range(2):
        assert command(run, *paths, threshold, *flags) == 0
        said = capsys.readouterr().out
        count = 19 if paths == ["photos/*.png"] else 20
        assert f"scores.csv is already complete: {count} scored" in said and "out: " in said
    assert sum(path.endswith(".png") for path in tree("out")) == count
    assert undo.main(["out"]) == 0
    assert tree("photos") == before and not os.path.exists("out")


def test_faces_are_moved_as_pictures_and_shards_to_folders_of_their_own(run, photos, capsys):
    (photos / "boxes.csv").write_text("name,x,y,width,height\n00.png,0,0,20,20\n00.png,9,9,30,30\n01.png,0,0,20,20\n")
    before = tree("photos")
    for _ in range(2):
        for index in range(2):
            flags = (f"--shard={index}/2", "--keep-below=1", f"--move-to=out{index}")
            assert command(run, "photos", *flags, output=f"{index}.csv") == 0
    assert "already complete" in capsys.readouterr().out and list(tree("photos")) == ["boxes.csv"]
    moved = [name for index in range(2) for name in tree(f"out{index}") if name.endswith(".png")]
    assert sorted(moved) == [f"keep/{index:02}.png" for index in range(20)]
    assert [undo.main([f"out{index}"]) for index in range(2)] == [0, 0]
    assert tree("photos") == before


def test_another_command_must_use_another_folder(run, photos, threshold, capsys):
    def refused(*arguments, **options):
        assert command(run, *arguments, **options) == 2
        assert tree("photos") == left and tree("out") == out
        return capsys.readouterr().err

    command(run, "photos", threshold, "--move-to=out")
    left, out = tree("photos"), tree("out")
    assert "a different command has sorted. Undo that (python" in refused("photos", threshold, "--copy-to=out")
    assert "before you score again, run python" in refused("photos", threshold, "--move-to=out", "--overwrite")
    assert "a different command" in refused("photos", threshold, "--move-to=out", output="other.csv")
    assert "different options: keep_below" in refused("photos", "--keep-below=0.123", "--move-to=out")
    with open(photos / "new.png", "w"):
        left = tree("photos")
    assert "new.png' is not in scores.csv, whose pictures have been sorted" in refused(
        "photos", threshold, "--move-to=out"
    )
    assert undo.main(["out"]) == 0
    os.unlink(photos / "new.png")
    assert command(run, "photos", threshold, "--move-to=out") == 0


def test_a_sort_that_is_being_undone_is_not_continued(run, photos, threshold, capsys):
    command(run, "photos", threshold, "--copy-to=out")
    kept = next(path for path in tree("out") if path.endswith(".png"))
    with open(f"out/{kept}", "a") as file:
        file.write("edited")
    assert undo.main(["out"]) == 1
    assert command(run, "photos", threshold, "--copy-to=out") == 2
    assert "out is being undone; finish that first: python -m blur_jax.score.undo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--move-to=out"], "need a threshold: pass --keep-below=T, or run python -m blur_jax.threshold"),
        (["--links", "--keep-below=0.5"], "--links needs --copy-to=DIR"),
        (["--links", "--move-to=out", "--keep-below=0.5"], "--links needs --copy-to=DIR"),
        (["--copy-to=out", "--move-to=out"], "not allowed with argument"),
        (["--copy-to=photos/out", "--keep-below=0.5"], "photos/out is inside photos"),
        (["--copy-to=no/out", "--keep-below=0.5"], "does not exist; create it"),
    ],
)
def test_wrong_usage_is_refused_before_pictures_are_scored(run, photos, capsys, arguments, message):
    try:
        assert command(run, "photos", *arguments) == 2
    except SystemExit as stopped:
        assert stopped.code == 2
    assert message in capsys.readouterr().err
    assert not os.path.exists("scores.csv") and not os.path.exists("out")


def test_a_summary_says_nothing_of_a_threshold_without_one(run, photos, capsys):
    assert command(run, "photos", "--summary") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 15 and "threshold" not in open_text("scores.csv") + "".join(lines)
    worst = max(read(), key=lambda row: float(row["blur"]))
    assert lines[5] == f"  {float(worst['blur']):.3f}  {worst['name']!r}"
