"""Features and scores of a folder's pictures, computed by a command and kept in the cache."""

import os

import numpy as np
import pytest

from blur_jax.data.preprocessing import prepare
from blur_jax.label import features
from blur_jax.label.photos import Photos
from blur_jax.runs import provenance
from blur_jax.score.scorer import load_scorer
from tests.helpers import photos


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for seed in range(5):
        photos.save(tmp_path / "photos", f"{seed}.png", seed)
    (tmp_path / "photos" / "bad.png").write_bytes(b"no picture")
    return tmp_path / "photos"


def computed(folder, checkpoint, capsys):
    """The stored table, and the progress that was printed."""
    assert features.main([str(folder), f"--checkpoint={checkpoint}"]) == 0
    path = features.cache_path(str(folder), checkpoint)
    return features.read(path), capsys.readouterr().out.splitlines()


def test_a_runs_features_and_scores_are_computed_once(folder, shared_run, capsys, monkeypatch):
    _, run = shared_run
    table, progress = computed(folder, str(run), capsys)
    assert table.names == ["0.png", "1.png", "2.png", "3.png", "4.png", "bad.png"] and progress == ["6 6"]
    scorer = load_scorer(run)
    expected = scorer.score([folder / name for name in table.names[:5]])
    np.testing.assert_allclose(table.blur[:5], expected, atol=1e-5)
    assert (table.fingerprint, table.step) == (scorer.fingerprint, scorer.step) and table.features.shape[0] == 6
    assert (table.run, table.trained_on) == (str(run), "")  # The demo's data have no folder.
    assert table.trained_by == provenance.data_read_by(run) != ""
    assert np.isnan(table.features[5]).all() and np.isnan([table.blur[5], table.sizes[5]]).all()
    assert table.sizes[:5].tolist() == [48] * 5 and np.isfinite(table.features[:5]).all()

    photos.picture(9).save(folder / "1.png")
    os.remove(folder / "bad.png")
    read = []
    monkeypatch.setattr(
        features, "_prepare", lambda photo, protocol: read.append(photo.name) or _prepared(photo, protocol)
    )
    again, _ = computed(folder, str(run), capsys)
    assert read == ["1.png"] and again.names == table.names[:5]
    np.testing.assert_array_equal(again.features[[0, 2, 3, 4]], table.features[[0, 2, 3, 4]])
    assert np.abs(again.features[1] - table.features[1]).max() > 1e-3


def _prepared(photo, protocol):
    return prepare(photo.path, photo.box, protocol), 48.0


def test_a_damaged_cache_is_computed_again(tmp_path):
    path = tmp_path / "table.npz"
    assert features.read(str(path)) is None
    for data in (b"", b"PK\x03\x04 no archive", b"\x80\x04pickle"):
        path.write_bytes(data)
        assert features.read(str(path)) is None
    one = np.zeros(1)
    np.savez(path, names=["a"], features=np.zeros((2, 3)), blur=one, sizes=one, fingerprint="", step=0)
    assert features.read(str(path)) is None


def test_pairs_are_drawn_from_a_fixed_sample_of_a_large_folder(folder, monkeypatch):
    monkeypatch.setattr(features, "MOST_PICTURES", 3)
    chosen = [photo.name for photo in features.pool(Photos(str(folder)))]
    assert len(chosen) == 3 and chosen == sorted(chosen)
    photos.save(folder, "5.png", 5)
    more = [photo.name for photo in features.pool(Photos(str(folder)))]
    assert len(set(chosen) & set(more)) >= 2
