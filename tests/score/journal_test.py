"""What a kill at any moment leaves of the scoring journal, and how the next command continues."""

import itertools
import json
import os
import pathlib

import pytest

from blur_jax.score import journal as journals
from blur_jax.score.inputs import Input
from blur_jax.score.journal import Found, Journal, Row

HEADER = {"checkpoint": "1a2b", "inputs": ["photos"]}
ROWS = [
    Row("a.jpg", None, 0.25, None),
    Row("b.jpg", (1, 2, 3, 4), 0.5, None),
    Row(os.fsdecode(b"\xff\n,.jpg"), None, None, 'cut "short"'),
    Row("d.jpg", None, 1e-7, None),
    Row("e.jpg", None, 0.1, None),
]
INPUTS = [Input(row.name, row.box) for row in ROWS]


@pytest.fixture
def output(tmp_path):
    return str(tmp_path / "scores.csv")


def fill(output, rows=ROWS, header=HEADER):
    with Journal(output, header) as journal:
        journal.append(rows)
    return journals.path_of(output)


def resumed(output, inputs=INPUTS, batch_size=2):
    """The rows that are kept."""
    kept = []
    with Journal(output, HEADER) as journal:
        waiting = list(journal.resume(inputs, batch_size, kept.extend))
        assert list(journal) == list(itertools.chain(*kept))
    assert [rows[0].input for rows in kept] + waiting == list(inputs)
    return list(itertools.chain(*kept))


def test_it_is_a_hidden_file_beside_the_output_until_it_is_removed(output, tmp_path):
    assert fill(output) == str(tmp_path / ".scores.csv.partial")
    assert os.listdir(tmp_path) == [".scores.csv.partial"]
    with Journal(output, HEADER) as journal:
        assert list(journal) == ROWS
        journal.remove()
    assert os.listdir(tmp_path) == []


def test_whole_batches_are_kept(output):
    fill(output)
    assert resumed(output) == ROWS[:4]
    assert resumed(output, batch_size=3) == ROWS[:3]
    assert resumed(output, batch_size=4) == []


def test_a_journal_cut_at_any_byte_is_continued(output):
    """As a kill in the middle of a write leaves it."""
    path = fill(output)
    content = pathlib.Path(path).read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content) + 1):
        with open(path, "wb") as file:
            file.write(content[:length])
        whole = max(0, sum(end <= length for end in ends) - 1)  # The first line is the header.
        kept = whole // 2 * 2
        assert resumed(output) == ROWS[:kept], length
        with Journal(output, HEADER) as journal:
            journal.append(ROWS[kept:])
            assert list(journal) == ROWS


def test_the_rows_of_a_picture_stay_together(output):
    """Four pictures: with two faces, with none, with a box, and with three faces."""
    found = [Row("a.jpg", (side, 0, 20, 20), 0.5, None, found=Found(0.9, 2)) for side in (0, 9)]
    found += [Row("b.jpg", None, None, "no face"), Row("c.jpg", (1, 2, 3, 4), 0.5, None)]
    found += [Row("d.jpg", (side, 0, 20, 20), 0.25, None, found=Found(0.8, 3)) for side in (0, 5, 9)]
    inputs = [Input("a.jpg", None), Input("b.jpg", None), Input("c.jpg", (1, 2, 3, 4)), Input("d.jpg", None)]
    for count, kept in enumerate([0, 0, 2, 3, 4, 4, 4, 7]):
        fill(output, found[:count])
        assert resumed(output, inputs, batch_size=1) == found[:kept]
        os.unlink(journals.path_of(output))
    fill(output, found)
    assert resumed(output, inputs) == found
    assert resumed(output, inputs, batch_size=3) == found[:4]
    assert resumed(output, [Input("a.jpg", (0, 0, 20, 20)), *inputs[1:]]) == []
    fill(output, [found[0], *found[2:]])
    assert resumed(output, inputs, batch_size=1) == []


@pytest.mark.parametrize(
    "rubbish",
    [
        *(b"\0" * 50, b"{}", b"[1]", b"7", b"\xff\xff", b"[" * 100_000, b'["c.jpg", 5, 0.5, null]'),
        *(b'["c.jpg", null, "0.25", null]', b'["c.jpg", null, null, null]', b'["c.jpg", null, [0.25], null]'),
        *(
            b'["c.jpg", [0, 0, 9, 9], 0.5, null, null, null, null, null, [null, null], %s]' % found
            for found in (b"[]", b"[0.5]", b"[0.5, 0]", b'["0.5", 1]', b"[0.5, 1.5]", b"7")
        ),
    ],
)
def test_rubbish_at_the_end_counts_for_nothing(output, rubbish):
    path = fill(output, ROWS[:2])
    with open(path, "ab") as file:
        file.write(rubbish + b"\n")
    assert resumed(output, [*INPUTS[:2], Input("c.jpg", None)], batch_size=1) == ROWS[:2]


@pytest.mark.parametrize(
    ("inputs", "kept"),
    [
        (INPUTS[:3], 2),  # Pictures were removed at the end,
        (INPUTS[1:], 0),  # or at the start;
        ([*INPUTS[:2], Input("bb.jpg", None), *INPUTS[2:]], 2),  # one was added;
        ([*INPUTS[:3], Input("d.jpg", (1, 1, 1, 1)), INPUTS[4]], 2),  # a box has changed.
        ([], 0),
    ],
)
def test_rows_are_kept_up_to_the_first_input_that_is_another(output, inputs, kept):
    fill(output)
    assert resumed(output, inputs) == ROWS[:kept]


def test_a_journal_of_another_command_or_version_is_refused_with_what_to_do(output):
    fill(output)
    with pytest.raises(
        ValueError, match=r"checkpoint: '1a2b' there but 'ffff' here.*Run that command again.*delete the file"
    ):
        Journal(output, HEADER | {"checkpoint": "ffff"})
    assert resumed(output) == ROWS[:4]  # It was left alone.
    with open(journals.path_of(output), "w") as file:
        file.write(json.dumps(HEADER | {"format": 99}) + "\n")
    with pytest.raises(ValueError, match="format: 99 there but 4 here"):
        Journal(output, HEADER)


@pytest.mark.parametrize("line", [b"\0\0\n", b"[]\n", b"7\n", b"[" * 100_000 + b"\n"])
def test_a_damaged_header_says_what_to_do(output, line):
    with open(journals.path_of(output), "wb") as file:
        file.write(line)
    with pytest.raises(ValueError, match="damaged; delete the file"):
        Journal(output, HEADER)


def test_two_commands_cannot_write_one_journal(output):
    with Journal(output, HEADER), pytest.raises(ValueError, match="in use by another process"):
        Journal(output, HEADER)
    Journal(output, HEADER).__exit__()
