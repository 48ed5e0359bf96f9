import json

import numpy as np
import pytest
from scipy import stats

from blur_jax import checkpoints, data, evaluate, scorer, train


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, demo_dir):
    from conftest import shrink

    from configs import default

    config = shrink(default.get_config(), demo_dir)
    config.steps, config.checkpoint_every = 4, 4
    folder = tmp_path_factory.mktemp("run")
    train.train(config, str(folder))
    return config, folder, evaluate.evaluate(config, str(folder))


def test_figures_are_those_of_the_scores(evaluated):
    config, folder, results = evaluated
    examples = list(data.open_split(config.data, "ranked", "test").examples)
    ranks = [example["rank"] for example in examples]
    scores = scorer.load_scorer(folder).score_prepared(np.stack([example["image"] for example in examples]))
    found = results["splits"]["test"]
    assert found["examples"] == 25  # batches of 16: the 7 fill-ins are not counted
    assert found["spearman"]["value"] == pytest.approx(stats.spearmanr(scores, ranks).statistic)
    assert found["kendall"]["value"] == pytest.approx(stats.kendalltau(scores, ranks).statistic)
    families = [example["group"] for example in examples]
    assert set(found["groups"]) == set(families)
    of_defocus = np.array(families) == "defocus (unseen)"
    expected = stats.spearmanr(scores[of_defocus], np.array(ranks)[of_defocus]).statistic
    assert found["groups"]["defocus (unseen)"]["spearman"]["value"] == pytest.approx(expected)


def test_results_are_written(evaluated):
    _, folder, results = evaluated
    assert json.loads((folder / "metrics.json").read_text()) == results
    assert results["checkpoint"] == "checkpoints/4"
    page = (folder / "report.html").read_text()
    for family in results["splits"]["test"]["groups"]:
        assert family in page


def test_a_run_without_checkpoints_is_told(evaluated, tmp_path):
    with pytest.raises(checkpoints.CheckpointError, match="no checkpoint here"):
        evaluate.evaluate(evaluated[0], str(tmp_path))


def test_data_that_do_not_fit_the_checkpoint_are_refused(evaluated, monkeypatch):
    config, folder, _ = evaluated
    other = config.copy_and_resolve_references()
    other.data.image_size = 48
    with pytest.raises(ValueError, match="image_size=32.*image_size=48"):
        evaluate.evaluate(other, str(folder))
