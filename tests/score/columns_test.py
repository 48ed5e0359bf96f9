"""What the command says of a picture besides its score: reduction, flags, tiles and groups."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter
from pyarrow import parquet

import blur_jax
from blur_jax.score import session
from tests.helpers import scored
from tests.helpers.photos import picture
from tests.helpers.scored import command, open_text, read

EXTRAS = ["--tiles", "--best-of-group", "--sheet=sheet.html"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return scored.make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """In the working directory's photos/: two bursts of 3, a black picture, a small one and a bad one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for burst in (1, 2):
        for frame in range(3):
            frames = picture(burst, (200, 200)).crop((frame, 0, 160 + frame, 130))
            frames.filter(ImageFilter.GaussianBlur(frame)).save(f"photos/{burst}{frame}.png")
    Image.new("RGB", (64, 64)).save("photos/black.png")
    picture(3, (20, 20)).save("photos/small.png")
    (tmp_path / "photos/bad.png").write_text("not a picture")
    return tmp_path / "photos"


def rows_of(path):
    return {row["name"].removeprefix("photos/"): row for row in map(json.loads, open_text(path).splitlines())}


def test_every_format_holds_the_columns(run, photos, capsys):
    for ending in ("csv", "jsonl", "parquet"):
        assert command(run, "photos", *EXTRAS, output=f"s.{ending}") == 1
    rows = rows_of("s.jsonl")
    assert list(rows["10.png"])[-6:] == ["reduction", "flags", "best_tile", "worst_tile", "group", "best_of_group"]
    assert parquet.read_table("s.parquet").to_pylist() == list(rows.values())
    for text, row in zip(read("s.csv"), rows.values(), strict=True):
        assert {key: value or None for key, value in text.items()} == {
            key: None if value in (None, "") else str(value) for key, value in row.items()
        }
    # The side of the central square, over the network's 32 pixels.
    assert {name: row["reduction"] for name, row in rows.items()} == {
        **{f"{burst}{frame}.png": 4.062 for burst in (1, 2) for frame in range(3)},
        "black.png": 2.0, "small.png": 0.625, "bad.png": None,
    }  # fmt: skip
    assert {name: row["flags"] for name, row in rows.items() if row["flags"] != ""} == {
        "black.png": "dark blank", "bad.png": None,
    }  # fmt: skip
    out = capsys.readouterr().out
    assert "warning: 1 dark, 1 blank;" in out and "warning: 6 pictures are reduced by more than a factor of 4" in out


def test_groups_and_tiles(run, photos):
    command(run, "photos", *EXTRAS, output="s.jsonl")
    rows = rows_of("s.jsonl")
    groups = {}
    for name, row in rows.items():
        groups.setdefault(row["group"], []).append(name)
    assert groups == {
        1: ["10.png", "11.png", "12.png"], 2: ["20.png", "21.png", "22.png"],
        None: ["bad.png"], 3: ["black.png"], 4: ["small.png"],
    }  # fmt: skip
    for group, names in groups.items():
        best = [name for name in names if rows[name]["best_of_group"] == "best"]
        assert best == ([min(names, key=lambda name: rows[name]["best_tile"])] if group else [])
    scorer = blur_jax.load_scorer(run)
    whole = picture(1, (200, 200)).crop((0, 0, 160, 130))
    corner = scorer.score([whole.crop((0, 0, 32, 32))])[0]
    assert rows["10.png"]["best_tile"] <= corner + 1e-5 and rows["10.png"]["worst_tile"] >= corner - 1e-5
    assert rows["small.png"]["best_tile"] == pytest.approx(rows["small.png"]["blur"], abs=1e-5)
    text = open_text("sheet.html")
    assert text.count("<img class=focus") == 8
    assert "<small>dark; blank; best tile" in text and "reduced 4.1 times" in text
    assert text.count(", best</small>") == 4


def test_an_interrupted_command_gives_the_same(run, photos, monkeypatch, capsys):
    command(run, "photos", *EXTRAS, "--batch-size=2")
    outputs = [open_text(path) for path in ("scores.csv", "scores.csv.json", "sheet.html")]
    assert command(run, "photos", *EXTRAS) == 1  # Complete: it warns again.
    assert capsys.readouterr().out.count("pictures are reduced") == 2
    assert command(run, "photos", "--tiles") == 2
    assert "different options: source" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(session.tables, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert command(run, "photos", *EXTRAS, "--batch-size=2", "--overwrite") == 130
    assert command(run, "photos", "--best-of-group", "--overwrite") == 2
    assert "tiles: True there but False here" in capsys.readouterr().err
    assert command(run, "photos", *EXTRAS, "--batch-size=2", "--overwrite") == 1
    assert outputs == [open_text(path) for path in ("scores.csv", "scores.csv.json", "sheet.html")]


def test_faces_of_one_picture_are_grouped_by_their_boxes(run, photos):
    frames = [np.hstack([picture(seed, (90, 90)) for seed in seeds]) for seeds in ((5, 6), (6, 5))]
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(photos / f"pair{index}.png")
    lines = [f"pair{index}.png,{x},0,90,90" for index in (0, 1) for x in (0, 90)]
    (photos / "faces.csv").write_text("\n".join(["name,x,y,width,height", *lines]))
    assert command(run, "photos/faces.csv", "--best-of-group") == 0
    rows = read()
    assert [row["group"] for row in rows] == ["1", "2", "2", "1"]
    assert [row["best_of_group"] for row in rows] == ["best", "best", "", ""]
    assert {row["reduction"] for row in rows} == {"2.812"} and "best_tile" not in rows[0]


def test_a_shard_cannot_be_grouped(run, photos, capsys):
    assert command(run, "photos", "--best-of-group", "--shard=0/2") == 2
    assert "--best-of-group needs all pictures" in capsys.readouterr().err


def test_python_gets_the_same(run, photos):
    pairs = [(path, None) for path in ("photos/10.png", "photos/black.png", "photos/bad.png")]
    good, black, bad = (result for _, result in blur_jax.load_scorer(run).score_each(pairs, looks=True, tiles=True))
    assert good.reduction == 130 / 32 and good.flags == "" and len(good.look) == 64
    assert good.tiles.best <= good.tiles.worst and np.shape(good.tiles.focus) == (5, 5)
    assert black.flags == "dark blank" and black.look == ""
    assert bad.error and bad[2:] == (None,) * 5
