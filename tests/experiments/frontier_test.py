"""The frontier, with four heads of a small network: 15 s of CPU."""

import json
from unittest import mock

import pytest

from blur_jax.score.scorer import load_scorer
from blur_jax.train.loop import train
from experiments import frontier
from experiments.configs import frontier as frozen


@pytest.fixture(scope="module")
def small(release, tmp_path_factory):
    """A config that starts from a run with a fitted head."""
    folder = tmp_path_factory.mktemp("frontier")
    config = frozen.get_config()
    config.data.dir, config.data.manual_dir, config.data.image_size = str(folder / "data"), str(release), 32
    config.model.update(backbone="small", blocks=None, pool_center=False, pretrained=False, frozen_blocks=0)
    config.probe.update(strength=1.0, prior=0.0, faces=8, side_min=8, side_max=16)
    config.evaluation.resamples = 20
    config.start_from = None
    frontier.ranked.prepare(config.data)
    train(config, str(folder / "run"))
    config.start_from, config.probe.prior = str(folder / "run"), 10.0
    return config


def test_the_recipe_comes_first_and_the_start_last():
    config = frozen.get_config()
    heads = frontier.points(config)
    assert heads[0] == (config.probe.prior, config.probe.content, config.probe.strength)
    assert heads[-1] == frontier.START and len(heads) == len(set(heads))
    expected = len(frontier.PRIORS) * len(frontier.CONTENTS) * len(frontier.STRENGTHS)
    assert len(heads) == expected + 2  # The recipe is not one of the grid.


def test_heads_are_fitted_and_measured(small, far, judged, tmp_path, capsys):
    out = tmp_path / "out"
    with mock.patch.multiple(frontier, PRIORS=(0.0, 1e6), CONTENTS=(0.0,), STRENGTHS=(1.0,)):
        frontier.run(small, str(out), str(far), str(judged), None)
    found = json.loads((out / "frontier.json").read_text())
    names = [f"prior {prior}, content 0, strength 1" for prior in ("10", "0", "1e+06")]
    assert list(found) == [*names, str(frontier.START)]
    start = found[str(frontier.START)]
    assert found[names[1]] == start  # Its head was fitted to the same labels, and to nothing else.
    assert found[names[2]] != start
    assert set(start["judged"]) == set(start["auc"]) == {"near", "far"}
    assert 0 <= start["auc"]["near"]["value"] <= 1
    # The start's AUC is that of the scorer it comes from.
    tests, scorer = frontier.ranked.open_splits(small.data), load_scorer(small.start_from)
    scores = {name: scorer.score_images(split.images(range(len(split)))) for name, split in tests.items()}
    aucs = frontier.ranked.headlines(scores, tests, resamples=1)["mean"]["auc"]
    assert start["auc"]["near"]["value"] == pytest.approx(aucs[0])
    assert (out / "frontier.webp").read_bytes()[8:12] == b"WEBP"
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == ["head", "---", *names, small.start_from]


def test_a_config_that_follows_nothing_is_refused(small, far, judged, tmp_path):
    small = small.copy_and_resolve_references()
    small.probe.update(prior=0.0, content=0.0)
    with pytest.raises(ValueError, match=r"the config weighs no unlabeled faces; set config\.probe\.prior"):
        frontier.run(small, str(tmp_path / "out"), str(far), str(judged), None)
