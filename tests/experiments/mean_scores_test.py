import numpy as np
import pytest
from scipy.stats import norm

from experiments import mean_scores

AXES = {"near": ["test1", "test2"], "far": ["celeba"]}


def scorer(*values):
    near, far = np.array(values[:3], float), np.array(values[3:], float)
    return {"test1": near[:2], "test2": near[2:], "celeba": far}


def test_a_mean_of_normal_scores_by_hand():
    found = mean_scores.mean([scorer(1, 2, 3, 5, 6), scorer(900, 700, 800, 1, 1)], AXES)
    high = norm.ppf(5 / 6)  # Of three faces, the quantiles are 1/6, 1/2 and 5/6.
    np.testing.assert_allclose(found["test1"], [0.0, -high / 2], atol=1e-12)
    np.testing.assert_allclose(found["test2"], [high / 2], atol=1e-12)
    np.testing.assert_allclose(found["celeba"], [norm.ppf(0.25) / 2, norm.ppf(0.75) / 2])  # The second one is a tie.


def test_a_mean_does_not_depend_on_scales():
    first, second = scorer(1, 2, 4, 3, 7), scorer(3, 1, 2, 9, 8)
    scaled = {name: np.exp(5 * values) for name, values in second.items()}
    for name, values in mean_scores.mean([first, second], AXES).items():
        np.testing.assert_array_equal(values, mean_scores.mean([first, scaled], AXES)[name])


def test_names_of_means_and_their_parts():
    known = ["ours", "variance of the Laplacian"]
    assert mean_scores.parse(["two=ours+variance of the Laplacian"], known) == {"two": known}
    with pytest.raises(ValueError, match="no scorer 'theirs'; choose from ours, variance of the Laplacian"):
        mean_scores.parse(["two=ours+theirs"], known)
    with pytest.raises(ValueError, match="--mean=ours=... uses the name of a scorer"):
        mean_scores.parse(["ours=ours+ours"], known)
    with pytest.raises(ValueError, match=r"--mean must be NAME=A\+B"):
        mean_scores.parse(["ours"], known)
