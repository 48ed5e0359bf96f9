import dataclasses
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from blur_jax.metrics import calibration
from blur_jax.metrics.calibration import Calibration

# Half of the reference scores 0.2 or less, evenly from 0; the other half evenly from 0.2 to 0.7.
QUANTILES = tuple(np.concatenate([np.linspace(0, 0.2, 51), np.linspace(0.2, 0.7, 51)[1:]]).tolist())
WHOLE = Calibration("400 validation faces", QUANTILES, scale=2.0, scale_interval=(1.5, 2.5), pairs=100)


@pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])
def test_columns_by_hand(xp):
    blur = xp.asarray(np.array([0.0, 0.1, 0.2, 0.45, 0.7, 1.0], np.float32))
    found = calibration.to_columns(blur, WHOLE, anchor=0.5, xp=xp)
    assert list(found) == ["blur", "sharpness", "blur_percentile", "p_blurrier_than_anchor"]
    np.testing.assert_allclose(found["sharpness"], [100, 90, 80, 55, 30, 0], atol=1e-4)
    np.testing.assert_allclose(found["blur_percentile"], [0, 25, 50, 75, 100, 100], atol=1e-3)
    # With scale 2 against an anchor of 0.5 the odds are (blur / (1 - blur)) squared: 1/81 at 0.1, 1/16 at 0.2.
    np.testing.assert_allclose(found["p_blurrier_than_anchor"][1:3], [1 / 82, 1 / 17], rtol=1e-5)
    np.testing.assert_allclose(found["p_blurrier_than_anchor"][4], 49 / 58, rtol=1e-5)
    assert all(column.dtype == np.float32 for column in found.values())


def test_the_anchor_is_the_median_where_none_is_chosen():
    assert WHOLE.median == pytest.approx(0.2)
    found = calibration.to_columns(np.array([0.2, 0.5]), WHOLE)["p_blurrier_than_anchor"]
    # Odds of 0.5 against 0.2: (1 / (1/4)) squared.
    np.testing.assert_allclose(found, [0.5, 16 / 17])


def test_what_a_calibration_lacks_is_left_out():
    blur = np.array([0.5])
    assert list(calibration.to_columns(blur, None)) == ["blur", "sharpness"]
    assert list(calibration.to_columns(blur, Calibration("x", QUANTILES))) == ["blur", "sharpness", "blur_percentile"]


def test_percentiles_step_over_equal_quantiles():
    """30% of the reference score exactly 0.5: what is above is past all of them."""
    quantiles = tuple([0.1] * 36 + [0.5] * 30 + [0.9] * 35)
    found = calibration.percentile(np.array([0.3, 0.50001, 0.95]), quantiles)
    np.testing.assert_allclose(found, [35.5, 65, 100], atol=0.01)


def test_probabilities_of_a_pair_add_up_to_1():
    a, b = np.array([0.3, 0.9]), np.array([0.6, 0.1])
    both = calibration.probability_blurrier(a, b, 1.7) + calibration.probability_blurrier(b, a, 1.7)
    np.testing.assert_allclose(both, 1)


@pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])
def test_scores_of_0_and_1_have_finite_logits(xp):
    found = calibration.logit(xp.asarray([0.0, 0.5, 1.0]), xp=xp)
    np.testing.assert_allclose(found, [math.log(1e-6), 0, -math.log(1e-6)], rtol=0.01, atol=1e-6)


def test_a_calibration_comes_back_as_it_was():
    assert Calibration.from_dict(json.loads(json.dumps(WHOLE.to_dict()))) == WHOLE
    bare = dataclasses.replace(WHOLE, scale=None, scale_interval=None, pairs=0)
    assert Calibration.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare


JUNK = {
    "quantiles": (
        QUANTILES[:-1],
        [math.nan, *QUANTILES[1:]],
        [*QUANTILES[:-1], 1.5],
        QUANTILES[::-1],
        ["0.1"] * 101,
        None,
    ),
    "scale": (math.nan, 0.0, -1.0, math.inf, 10**400),
    "scale_interval": ([2.5, 1.5], [math.nan, 1.5], [1.5], 3),
    "more": (1,),
    "reference": (5,),
    "pairs": ("60",),
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in JUNK.items() for value in values])
def test_junk_is_refused(field, value):
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_dict(WHOLE.to_dict() | {field: value})


@pytest.mark.parametrize("junk", [{}, [], None, "x", {"reference": "x"}])
def test_what_is_no_calibration_is_refused(junk):
    with pytest.raises(ValueError, match="must have the fields"):
        Calibration.from_dict(junk)
