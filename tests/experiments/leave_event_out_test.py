import json

import pytest

from blur_jax.data import splits
from experiments import leave_event_out


def test_events_hold_the_pairs_within_them():
    names = [("x/A/1", "x/A/2"), ("x/A/1", "x/B/1"), ("x/B/1", "x/B/2"), ("x/A/3", "x/A/2")]
    assert leave_event_out.events(names, 1) == {"x/A": [0, 3], "x/B": [2]}
    assert leave_event_out.events(names, 2) == {"x/A": [0, 3]}


def test_a_row_by_hand():
    header, _, row = leave_event_out.table("x", {"w/A": [0.8, 0.9], "w/B": [0.7, 0.7]}).splitlines()
    assert header == "| config | A | B | mean |"
    assert row == "| x | 0.850 (0.800, 0.900) | 0.700 (0.700, 0.700) | 0.775 |"


def test_an_event_is_scored_by_runs_that_have_not_seen_it(config, tmp_path, monkeypatch, capsys):
    person = splits.open_split(config.data, "labeled", "train").names[0][0].split("/")[0]
    monkeypatch.setattr(leave_event_out, "events", lambda names, least_pairs: {person: [0, 1, 2, 3]})
    config.steps = config.checkpoint_every = 2
    options = {"workdir": str(tmp_path), "seeds": 1, "least_pairs": 1, "workers": 1}
    leave_event_out.run(config, **options)
    printed = capsys.readouterr().out
    folder = tmp_path / f"{person}_0"
    assert json.loads((folder / "config.json").read_text())["data"]["leave_out"] == f"{person}/"
    row = json.loads((folder / "row.json").read_text())
    assert row["accuracy"] in (0.0, 0.25, 0.5, 0.75, 1.0) and row["pairs"] == 4
    assert f"| {tmp_path.name} | {row['accuracy']:.3f} ({row['accuracy']:.3f}) | {row['accuracy']:.3f} |" in printed

    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json*")}
    leave_event_out.run(config, **options)
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.json*")} == before  # nothing was trained again


def test_too_few_pairs_are_reported(config, tmp_path):
    with pytest.raises(ValueError, match="no event with 500 or more pairs; lower --least_pairs"):
        leave_event_out.run(config, workdir=str(tmp_path), seeds=1, least_pairs=500, workers=1)
