from blur_jax.metrics.interval import bounds_text, interval_text, number

SURE = {"value": 0.8784, "low": 0.8386, "high": 1.0}
LONE = {"value": 0.75, "low": None, "high": None}
UNDEFINED = dict.fromkeys(SURE)


def test_numbers_have_three_decimals_or_a_dash():
    assert (number(0.8786), number(-1), number(None)) == ("0.879", "-1.000", "–")


def test_intervals_as_text():
    assert interval_text(SURE) == "0.878 [0.839, 1.000]"
    assert interval_text(SURE | {"low": -0.0206}, "+") == "+0.878 [-0.021, +1.000]"
    assert (interval_text(LONE), interval_text(UNDEFINED)) == ("0.750", "")
    assert (bounds_text(SURE), bounds_text(LONE), bounds_text(UNDEFINED)) == ("[0.839, 1.000]", "", "")
