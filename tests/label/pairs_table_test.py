"""pairs.csv: derived from the log, read by the builder, and never without the lines of others."""

import os

import pytest

from blur_jax.label import pairs_table
from blur_jax.label.answers import Line, State
from tests.helpers import photos
from tests.helpers.labels import answer, undo
from tfds_builders.folder_face_blur.layout import read_layout
from tfds_builders.folder_face_blur.tables import read_tables
from tfds_builders.folder_face_blur.votes import combine


@pytest.fixture
def root(tmp_path):
    for seed, name in enumerate(("a.png", "b.png", 'c, "d".png', "é.png")):
        photos.save(tmp_path, name, seed)
    return tmp_path


def path(root):
    return str(root / "pairs.csv")


def update(root, state):
    return pairs_table.update(path(root), state.lines, read_layout(root).find)


def votes(root):
    """The votes as the builder reads them, without their lines; it must find nothing wrong."""
    tables = read_tables(read_layout(root))
    assert tables.problems == [] and combine(tables.votes).problems == []
    return [vote[1:] for vote in tables.votes]


def test_the_builder_reads_what_was_answered(root):
    state = State(
        [answer(1), answer(2, left='c, "d".png', order=-1, annotator="ann, é"), answer(3, right="é.png", order=0)]
    )
    update(root, state)
    assert votes(root) == [
        ("a.png", "b.png", 1, ""),
        ('c, "d".png', "b.png", -1, "ann, é"),
        ("a.png", "é.png", 0, ""),
    ]


def test_a_repeated_pair_does_not_contradict_itself(root):
    update(root, State([answer(1), answer(2, left="b.png", right="a.png", picker="repeat")]))
    assert votes(root) == [("a.png", "b.png", 0, "")]


def test_an_answer_taken_back_leaves_the_table(root):
    entries = [answer(1), answer(2, left="é.png")]
    update(root, State(entries))
    update(root, State([*entries, undo(1)]))
    assert votes(root) == [("é.png", "b.png", 1, "")]


def test_lines_of_others_are_kept_as_they_are(root):
    photos.write(root, "pairs.csv", "order,Left,right", "+1,./b.png,é.png", '1.0,"c, ""d"".png",a.png')
    others = [Line("./b.png", "é.png", "+1", "", ""), Line('c, "d".png', "a.png", "1.0", "", "")]
    assert update(root, State([answer(1)])) == others
    assert pairs_table.read(path(root)) == [*others, Line("a.png", "b.png", "1", "", "t1")]
    assert update(root, State([answer(1), undo(1)])) == others
    assert pairs_table.read(path(root)) == others


def test_a_line_of_another_tool_is_taken_in_while_the_page_is_open(root):
    state = State([answer(1)])
    update(root, state)
    with open(path(root), "a") as file:
        file.write("é.png,a.png,-1,cy,\n")
    state.add(answer(2, left="é.png"))
    assert update(root, state) == [Line("é.png", "a.png", "-1", "cy", "")]
    assert len(votes(root)) == 3


def test_a_line_edited_by_hand_replaces_the_answer(root):
    state = State([answer(1)])
    update(root, state)
    text = (root / "pairs.csv").read_text()
    (root / "pairs.csv").write_text(text.replace("a.png,b.png,1", "b.png,a.png,+1"))
    update(root, state)
    assert votes(root) == [("b.png", "a.png", 1, "")]


def test_a_table_from_before_a_crash_brings_nothing_back(root):
    """The log had an answer and its undoing; the table was written between the two."""
    entries = [answer(1), answer(2, left="é.png")]
    update(root, State(entries))
    assert update(root, State([*entries, undo(1), answer(3, order=-1)])) == []
    assert [vote[2] for vote in votes(root)] == [1, -1]


def test_a_current_table_is_not_written_again(root):
    state = State([answer(1)])
    update(root, state)
    before = os.stat(path(root))
    update(root, state)
    assert os.stat(path(root)).st_ino == before.st_ino
    update(root / "nothing", State())
    assert not (root / "nothing").exists()


def test_a_link_to_the_table_stays_a_link(root, tmp_path):
    real = tmp_path / "elsewhere.csv"
    real.write_text("left,right,order\n")
    os.symlink(real, path(root))
    update(root, State([answer(1)]))
    assert os.path.islink(path(root)) and "a.png" in real.read_text()


def test_bytes_that_are_not_utf_8_are_kept(root):
    (root / "pairs.csv").write_bytes(b"left,right,order\n\xff.png,b.png,1\n")
    update(root, State([answer(1)]))
    assert b"\xff.png,b.png,1,," in (root / "pairs.csv").read_bytes()


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["left,right"], "columns left, right, order"),
        (["left,right,order,sure", "a.png,b.png,1,1"], ":1: the columns 'sure' are unknown; delete them"),
        (["left,right,order,", "a.png,b.png,1,kept?"], r"without a name"),
        (["left,right,order", "a.png,b.png,2"], ":2: order must be 1, -1 or 0, found '2'"),
        (["left,right,order", "a.png,b.png"], ":2: the row has 2 fields"),
        (["left,right,order", 'a.png,"b.png,1'], "not valid CSV"),
    ],
)
def test_a_table_that_cannot_be_read_is_not_touched(root, lines, error):
    photos.write(root, "pairs.csv", *lines)
    before = (root / "pairs.csv").read_bytes()
    with pytest.raises(ValueError, match=error):
        update(root, State([answer(1)]))
    assert (root / "pairs.csv").read_bytes() == before
