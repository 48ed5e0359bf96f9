"""The command, from a folder of pictures to a threshold that scoring reads."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import blur_jax
from blur_jax.runs.threshold import Threshold, read_threshold, write_threshold
from blur_jax.threshold import __main__ as threshold
from tests.helpers import scored


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return scored.make_run(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made, tmp_path):
    """A run that was never trained: only that it scores matters."""
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture
def photos(tmp_path):
    """30 pictures of noise of different strength, and a broken one."""
    rng, folder = np.random.default_rng(0), tmp_path / "photos"
    folder.mkdir()
    for index in range(30):
        noise = rng.integers(0, 1 + 8 * index, size=(32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{index:02}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_a_threshold_for_a_discard_rate(run, photos, capsys):
    assert threshold.main([f"--checkpoint={run}", "--discard=0.1", str(photos)]) == 0
    out = capsys.readouterr().out
    assert "scored 30 of 31 pictures; 1 could not be scored, for example " in out
    assert "broken.png: " in out
    assert "among a test" in out
    assert "discards 10.0% (3 of 30; 95% interval 2.1% to 26.5%)" in out
    assert f"wrote {run / 'threshold.json'}" in out
    scorer = blur_jax.load_scorer(run)
    blur = scorer.score(sorted(photos.glob("[0-9]*.png")))
    assert np.sum(blur >= scorer.threshold.keep_below) == 3
    assert scorer.columns(blur)["keep"].tolist().count("discard") == 3
    assert (scorer.threshold.step, scorer.threshold.checkpoint) == (scorer.step, scorer.fingerprint)
    assert "replaces" not in out


def test_a_threshold_that_is_replaced_is_named(run, photos, capsys):
    eye = Threshold(0.74101, "chosen by eye from 15 pictures,\nfor pictures like PHOTOS", "0123456789abcdef")
    write_threshold(run, eye)
    command = [f"--checkpoint={run}", "--discard=0.1", str(photos)]
    assert threshold.main(command) == 0
    expected = "this replaces the threshold 0.7410, chosen by eye from 15 pictures, for pictures like PHOTOS"
    assert capsys.readouterr().out.splitlines()[-1] == expected
    (run / "threshold.json").write_text("{")
    assert threshold.main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "this replaces a threshold that cannot be read"
    assert read_threshold(run).rule == "discard"


def test_a_threshold_from_examples(run, photos, tmp_path, capsys):
    names = [f"photos/{index:02}.png,{'good' if index < 25 else 'bad'}" for index in range(30)]
    (tmp_path / "labels.csv").write_text("name,label\n" + "\n".join(names) + "\n")
    assert threshold.main([f"--checkpoint={run}", "--lose-good=0.1", f"--examples={tmp_path / 'labels.csv'}"]) == 0
    assert "good pictures discarded: 8.0% (2 of 25;" in capsys.readouterr().out
    assert json.loads((run / "threshold.json").read_text())["rule"] == "lose-good"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--discard=0.1"], "--discard needs PHOTOS (pictures or folders), not --examples"),
        (["--lose-good=0.1", "PHOTOS"], "--lose-good needs --examples=CSV"),
        (["--discard=10", "PHOTOS"], "between 0 and 1, such as 0.1, not 10"),
        (["--discard=0.01", "PHOTOS"], "30 pictures are too few for a rate of 0.01; supply 200"),
        (["--keep-bad=0.1", "--examples=nowhere.csv"], "No such file or directory: 'nowhere.csv'"),
    ],
)
def test_errors_are_one_sentence(run, photos, options, message, capsys):
    options = [str(photos) if option == "PHOTOS" else option for option in options]
    assert threshold.main([f"--checkpoint={run}", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (run / "threshold.json").exists()


@pytest.mark.parametrize("options", [[], ["--discard=0.1", "--keep-bad=0.1", "x"]])
def test_exactly_one_rule_is_wanted(options):
    with pytest.raises(SystemExit) as stopped:
        threshold.main(["--checkpoint=x", *options])
    assert stopped.value.code == 2
