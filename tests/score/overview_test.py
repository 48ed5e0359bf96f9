"""The summary of a table."""

import os

from blur_jax.score import overview


def described(path, *rows, header="name,status,blur,keep"):
    path.write_text("\n".join([header, *rows]) + "\n", errors="surrogateescape")
    return overview.describe(str(path)).splitlines()


def test_the_blurriest_come_last_in_the_table_and_first_here(tmp_path):
    rows = [f"{index:02}.jpg,ok,{index / 100},{'discard' if index > 12 else 'keep'}" for index in range(17)]
    lines = described(tmp_path / "scores.csv", *rows, "bad.jpg,failed,,")
    assert lines[:4] == [
        "pictures: 18, without a score: 1",
        "blur: a quarter is below 0.040, half are below 0.080, three quarters below 0.120",
        "the threshold discards 4 of 17 (23.5%)",
        "blurriest:",
    ]
    assert lines[4:] == [f"  0.{index:02}0  '{index:02}.jpg'" for index in range(16, 6, -1)]


def test_faces_and_odd_names_without_a_threshold(tmp_path):
    odd = os.fsdecode(b'"\xff\n.jpg"')
    lines = described(tmp_path / "scores.csv", f"{odd},ok,0.25", f"{odd},ok,0.5", header="name,status,blur")
    assert lines[0] == "pictures: 1, faces: 2, without a score: 0"
    assert lines[2:] == ["blurriest:", r"  0.500  '\udcff\n.jpg'", r"  0.250  '\udcff\n.jpg'"]


def test_a_table_without_scores(tmp_path):
    lines = described(tmp_path / "scores.csv", "bad.jpg,failed,,")
    assert lines == ["pictures: 1, without a score: 1"]
