"""The scoring command, after pictures have changed since they were scored."""

import os

from PIL import Image

from blur_jax.score import scorer, session
from tests.helpers.scored import command, open_text


def to_bitmaps(photos):
    for path in sorted(photos.iterdir()):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()


def swap(photos, left, right):
    """Swaps two pictures of the same size, and keeps the times of both names."""
    names = (photos / left, photos / right)
    content, times = [path.read_bytes() for path in names], [path.stat() for path in names]
    for path, data, before in zip(names, reversed(content), times):
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_a_complete_table_of_replaced_pictures_is_refused(run, photos, capsys):
    to_bitmaps(photos)
    command(run, "photos")
    old = open_text("scores.csv")
    swap(photos, "03.bmp", "17.bmp")
    assert command(run, "photos") == 2
    assert "pictures have changed since they were scored; pass --overwrite" in capsys.readouterr().err
    assert command(run, "photos", "--overwrite") == 0 and open_text("scores.csv") != old


def test_a_picture_that_was_missing_from_a_complete_table_is_noticed(run, photos, capsys):
    (photos / "list.csv").write_text("name\n00.png\nnew.png\n")
    assert command(run, "photos/list.csv") == 1
    os.rename(photos / "01.png", photos / "new.png")
    assert command(run, "photos/list.csv") == 2
    assert "pictures have changed" in capsys.readouterr().err


def test_a_complete_table_of_touched_pictures_is_not_scored_again(run, photos, capsys, monkeypatch):
    command(run, "photos")
    for path in photos.iterdir():
        os.utime(path, (1, 1))
    monkeypatch.setattr(session, "run", None)
    assert command(run, "photos") == 0
    assert "already complete" in capsys.readouterr().out


def test_after_an_interruption_only_replaced_pictures_and_later_ones_are_scored(run, photos, monkeypatch):
    to_bitmaps(photos)
    with monkeypatch.context() as patch:
        patch.setattr("blur_jax.score.session.tables.write", interrupt)
        command(run, "photos", "--batch-size=4")
        for path in photos.iterdir():
            os.utime(path, (1, 1))  # The same content: these rows are kept.
        swap(photos, "13.bmp", "17.bmp")
        prepared, prepare = [], scorer.Scorer.prepare
        patch.setattr(scorer.Scorer, "prepare", lambda *args: prepared.append(1) or prepare(*args))
        command(run, "photos", "--batch-size=4")
    assert len(prepared) == 8  # From the batch of 12 to 15 on.
    assert command(run, "photos", "--batch-size=4") == 0
    command(run, "photos", "--batch-size=4", output="undisturbed.csv")
    assert open_text("scores.csv") == open_text("undisturbed.csv")
