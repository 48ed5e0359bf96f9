"""Every parser of what others wrote gives data or its documented error, in short; `benchmarks.fuzz` tries many more."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import fuzz, fuzz_targets

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([10**400, "\ud800"]),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=8,
)
ENDLESS = st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"," * 100_000, b"\0" * 100_000, b"\xff" * 100_000])


@st.composite
def edited(draw, seeds):
    """A seed of which some bytes are others."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        data = data[:start] + draw(st.binary(max_size=6)) + data[start + draw(st.integers(0, 6)) :]
    return data


@st.composite
def revalued(draw, seeds):
    """A JSON seed in which one value is another, at any depth."""
    root = [json.loads(draw(st.sampled_from(seeds)))]
    items, key = root, 0
    while isinstance(items[key], (dict, list)) and items[key] and draw(st.booleans()):
        items = items[key]
        key = draw(st.sampled_from(sorted(items) if isinstance(items, dict) else range(len(items))))
    items[key] = draw(JSON)
    return json.dumps(root[0]).encode()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
def test_any_bytes_give_data_or_the_documented_error(tmp_path, name):
    target = fuzz_targets.TARGETS[name](tmp_path)
    assert {fuzz_targets.outcome(target, seed) for seed in target.seeds} == {"data"}
    inputs = st.binary() | edited(target.seeds) | ENDLESS
    inputs |= revalued(target.seeds) if target.is_json else edited(target.seeds)

    @settings(max_examples=100, derandomize=True, database=None, deadline=None)
    @given(inputs)
    def check(data):
        assert fuzz_targets.outcome(target, data) in ("data", "error")

    check()


def test_another_error_and_a_long_message_are_found(tmp_path):
    def parse(data):
        raise (KeyError if data else ValueError)("x" * 10_000)

    for data, error in ((b"", AssertionError), (b"x", KeyError)):
        with pytest.raises(error):
            fuzz_targets.outcome(fuzz_targets.Target(parse, []), data)


def test_changes_of_json_mostly_leave_it_json():
    seed = json.dumps({"a": [1, {"b": None}], "c": "x"}).encode()
    found = {fuzz.mutate_json(seed, 4096, index) for index in range(300)}
    assert len(found) > 100

    def is_json(text):
        try:
            return json.loads(text) != json.loads(seed)
        except ValueError:
            return False

    assert sum(map(is_json, found)) > 0.5 * len(found)
    assert len(fuzz.mutate_json(b"[" * 5000, 4096, 0)) <= 4096
