"""Spellings of names, and the files that they mean."""

import unicodedata

import pytest

from blur_jax.data import names

NFD = unicodedata.normalize("NFD", "sub/caf\u00e9.jpg")


@pytest.mark.parametrize("name", ["./sub/café.jpg", "sub//café.jpg", "x/../sub/café.jpg", "sub\\café.jpg", f" {NFD} "])
@pytest.mark.parametrize("on_disk", ["sub/café.jpg", NFD])
def test_every_spelling_means_the_file_on_the_disk(tmp_path, name, on_disk):
    (tmp_path / "sub").mkdir()
    (tmp_path / on_disk).touch()
    assert names.normalize(name) == "sub/café.jpg"
    assert names.Known([on_disk]).find(name) == on_disk
    path = names.locate(str(tmp_path), name)
    assert (tmp_path / on_disk).samefile(path)


def test_the_exact_name_comes_first(tmp_path):
    for name in ("é.jpg", "e\u0301.jpg", "a\\b.jpg", " c.jpg"):
        (tmp_path / name).touch()
        assert names.locate(str(tmp_path), name) == str(tmp_path / name)


def test_a_name_without_a_file_stays_as_it_is(tmp_path):
    for name in ("gone.jpg", "no/where.jpg", "a\0.jpg", "a/" * 3000 + "b.jpg", "/gone.jpg"):
        assert names.locate(str(tmp_path), name) == str(tmp_path / name)


@pytest.mark.parametrize("name", ["a.JPG", "photo 1.png", "Sub/x.jpg"])
def test_a_missing_file_may_be_a_similar_one(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    similar = {"a.JPG": "A.jpg", "photo 1.png": "Photo\u202f1.png", "Sub/x.jpg": "sub/x.jpg"}[name]
    (tmp_path / similar).touch()
    assert names.hint(name) == f"; did you mean {similar!r}?"
    assert names.hint("other.jpg") == ""
