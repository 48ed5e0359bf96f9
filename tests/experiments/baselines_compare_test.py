"""How scorers are compared over splits."""

from unittest import mock

import numpy as np
import pytest

from experiments import baselines


def test_splits_may_count_by_their_faces():
    tests = {"test1": range(10), "test2": range(30), "other": range(50)}
    values = {"test1": 0.5, "test2": 0.9, "other": 0.0}

    def headlines(more, _, *, resamples):
        found = {name: {"auc": np.full(1 + resamples, value + more)} for name, value in values.items()}
        return found | {"mean": {"auc": np.full(1 + resamples, 0.7 + more)}}

    with mock.patch.multiple(baselines.ranked, headlines=headlines, headline_names=lambda _: ["test1", "test2"]):
        found = baselines.compare({"ours": 0.0, "worse": -0.2}, tests, "ours", 5)
    assert found["ours"]["by_faces"]["auc"]["value"] == pytest.approx(0.8)  # (10 * 0.5 + 30 * 0.9) / 40
    assert found["worse"]["by_faces"]["auc"]["value"] == pytest.approx(0.6)
    assert found["worse"]["first_minus_this_by_faces"]["auc"]["low"] == pytest.approx(0.2)
    assert "first_minus_this_by_faces" not in found["ours"]
