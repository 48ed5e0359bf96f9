"""Choosing by events left out: which pairs judge, what is trained on, and the row that is printed."""

from benchmarks import leave_event_out
from blur_jax import data


def pair(left, right, order=1):
    return {"left_name": f"x/{left}.png", "right_name": f"x/{right}.png", "order": order}


def test_events_hold_the_pairs_within_them():
    examples = [pair("A/1", "A/2"), pair("A/1", "B/1"), pair("B/1", "B/2"), pair("A/3", "A/2")]
    assert leave_event_out.events(examples, 1) == {"x/A": [0, 3], "x/B": [2]}
    assert leave_event_out.events(examples, 2) == {"x/A": [0, 3]}


def test_a_row_by_hand():
    accuracy = {"A": [0.8, 0.9], "B": [0.7, 0.7]}
    assert leave_event_out.row("x", accuracy) == "| x | 0.850 (0.800, 0.900) | 0.700 (0.700, 0.700) | 0.775 |"


def test_an_event_is_judged_by_runs_that_have_not_seen_it(config, tmp_path, monkeypatch):
    person = data.open_split(config.data, "labeled", "train").examples[0]["left_name"].split("/")[0]
    monkeypatch.setattr(leave_event_out, "events", lambda examples, least_pairs: {person: [0, 1, 2, 3]})
    left_out, train = [], leave_event_out.train
    monkeypatch.setattr(
        leave_event_out, "train", lambda c, folder: left_out.append(c.data.leave_out) or train(c, folder)
    )
    config.steps = config.checkpoint_every = 3
    options = {"workdir": str(tmp_path), "seeds": 1, "least_pairs": 1}
    accuracy = leave_event_out.run(config, **options)
    assert left_out == [f"{person}/"]
    (value,) = accuracy[person]
    assert value in (0.0, 0.25, 0.5, 0.75, 1.0)
    assert leave_event_out.run(config, **options) == accuracy
    assert len(left_out) == 1  # the second call trains nothing
