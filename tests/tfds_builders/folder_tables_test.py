"""Tables as people's programs write them, and as no program should."""

import random

import pytest

from blur_jax.data.preprocessing import Preprocessing
from tests.helpers import photos
from tests.helpers.paths import SHARED
from tests.helpers.photos import write
from tfds_builders.folder_face_blur.layout import read_layout
from tfds_builders.folder_face_blur.sources import Sources
from tfds_builders.folder_face_blur.tables import Boxed, Described, Ranked, Vote, read_tables
from tfds_builders.problems import KINDS

CELEBA = SHARED / "celeba_blur"


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "photos"
    for name in ("a.png", "b.png", "c, d.png", "sub/é.png"):
        photos.save(root, name, 0)
    return root


def read(root):
    return read_tables(read_layout(root))


def test_tables_are_read(root):
    write(root, "pairs.csv", "left,right,order", "a.png,b.png,+1", 'b.png,"c, d.png",-1', "sub/é.png,a.png,0")
    write(root, "boxes.csv", "name,x,y,width,height", "a.png,1,2,30,40")
    write(root, "ranked.csv", "name,rank", "b.png,1", '"c, d.png",-0.5')
    write(root, "attributes.csv", "name,Male,has a hat", "b.png,1,0", '"c, d.png", 0 ,1')
    tables = read(root)
    assert tables.votes == [
        Vote(2, "a.png", "b.png", 1, ""),
        Vote(3, "b.png", "c, d.png", -1, ""),
        Vote(4, "sub/é.png", "a.png", 0, ""),
    ]
    assert tables.boxes == {"a.png": Boxed(2, (1, 2, 30, 40))}
    assert tables.ranks == {"b.png": Ranked(2, 1.0), "c, d.png": Ranked(3, -0.5)}
    assert tables.attributes == {
        "b.png": Described(2, {"Male": True, "has a hat": False}),
        "c, d.png": Described(3, {"Male": False, "has a hat": True}),
    }
    assert tables.problems == tables.warnings == []
    assert Sources(root, Preprocessing()).uses["c, d.png"] == ("pairs.csv", 3)


def test_tables_that_are_not_there_are_none(root):
    tables = read(root)
    assert tables.votes is tables.boxes is tables.ranks is tables.attributes is None and tables.problems == []


def test_byte_order_mark_windows_line_ends_blank_lines_spaces_and_any_order_of_columns(root):
    text = "\ufeffTime, Order ,annotator,right,left\r\n\r\n2026-01-01, 1.0 ,ann, b.png ,a.png\r\n ,-1,bob,a.png,b.png"
    (root / "pairs.csv").write_bytes(text.encode())
    tables = read(root)
    assert tables.votes == [Vote(3, "a.png", "b.png", 1, "ann"), Vote(4, "b.png", "a.png", -1, "bob")]
    assert tables.problems == []


def test_an_accent_may_be_a_character_of_its_own(root):
    write(root, "pairs.csv", "left,right,order", "sub/e\u0301.png,a.png,1")
    assert read(root).votes == [Vote(2, "sub/é.png", "a.png", 1, "")]


@pytest.mark.parametrize(
    "header", ["left,right", "left;right;order", "a.png,b.png,1", "left,right,order,who", "left,left,right,order"]
)
def test_a_header_is_required(root, header):
    write(root, "pairs.csv", header, "a.png,b.png,1")
    tables = read(root)
    (problem,) = tables.problems
    assert (problem.kind, problem.line, tables.votes) == ("malformed line", 1, [])
    assert header in problem.details and "left,right,order[,annotator,time]" in problem.details


def test_an_empty_table_is_reported(root):
    (root / "pairs.csv").write_bytes(b"\xef\xbb\xbf\r\n")
    assert [problem.kind for problem in read(root).problems] == ["malformed line"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"a.png,b.png", "the row has 2 fields but the header has 3"),
        (b"a.png,b.png,1,2", "4 fields"),
        (b"a.png,b.png,more", "order 'more'"),
        (b"a.png,b.png,1e0", "order '1e0'"),
        (b'a.png,"b.png,1', "unexpected end of data"),
        (b"a.png,\xff.png,1", "not UTF-8"),
        (b"," * 100_000, "the line has 100000 bytes"),
    ],
)
def test_a_malformed_line_costs_itself_alone(root, line, found):
    (root / "pairs.csv").write_bytes(b"left,right,order\n" + line + b"\nb.png,a.png,1\n")
    tables = read(root)
    (problem,) = tables.problems
    assert (problem.kind, problem.line) == ("malformed line", 2) and found in problem.details
    assert tables.votes == [Vote(3, "b.png", "a.png", 1, "")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a.png,1,2,3", "4 fields but the header has 5"),
        ("a.png,1,2,3,4.5", "the box '1,2,3,4.5' must be four whole numbers"),
        ("a.png,,,,", "'a.png' has no box"),
    ],
)
def test_a_malformed_box_costs_only_its_line(root, line, found):
    write(root, "boxes.csv", "name,x,y,width,height", line, "b.png,1,2,30,40")
    tables = read(root)
    ((kind, file, number, text),) = tables.problems
    assert (kind, file, number) == ("malformed line", "boxes.csv", 2) and found in text
    assert tables.boxes == {"b.png": Boxed(3, (1, 2, 30, 40))}


def test_several_faces_in_a_picture_name_the_remedy(root):
    """As in a table that --boxes of the scoring command writes."""
    write(root, "boxes.csv", "name,x,y,width,height,face_score", "a.png,1,2,30,30,0.9", "a.png,5,5,20,20,0.8")
    tables = read(root)
    ((kind, file, line, text),) = tables.problems
    assert (kind, file, line) == ("repeated line", "boxes.csv", 3) and "already has a box on line 2" in text
    assert "with --faces, which takes the largest face" in text
    assert tables.boxes == {"a.png": Boxed(2, (1, 2, 30, 30))}


@pytest.mark.parametrize("header", ["name,x,y,width", "name,x,y,width,height,x1,y1", ""])
def test_boxes_need_their_header(root, header):
    write(root, "boxes.csv", header, "a.png,1,2,30,40")
    tables = read(root)
    assert [problem[:3] for problem in tables.problems] == [("malformed line", "boxes.csv", 1)]
    assert tables.boxes == {}


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.png", "sub/../../a.png", "C:a.png", "..\\a.png"])
def test_a_name_that_leads_out_of_the_folder_is_never_looked_up(root, name):
    write(root, "ranked.csv", "name,rank", f'"{name}",1')
    tables = read(root)
    assert [problem.kind for problem in tables.problems] == ["unsafe path"] and tables.ranks == {}


@pytest.mark.parametrize(
    ("name", "hint"),
    [("A.PNG", "did you mean 'a.png'?"), ("é.png", "did you mean 'sub/é.png'?"), ("x.png", "'x.png'"), ("", "''")],
)
def test_an_unknown_picture_may_be_one_that_is_known_by_another_name(root, name, hint):
    write(root, "ranked.csv", "name,rank", f"{name},1")
    (problem,) = read(root).problems
    assert problem.kind == "unknown picture" and problem.details.endswith(hint)


def test_junk_is_reported_whatever_it_is(root):
    rng = random.Random(0)
    alphabet = [b"a.png", b"b.png", b",", b'"', b"1", b"-1", b"\xff", b"\x00", b"\xe2\x80\xa8", b"..", b" ", b"\x0b"]
    for _ in range(100):  # Of random bytes.
        lines = [b"".join(rng.choices(alphabet, k=rng.randrange(12))) for _ in range(6)]
        for file, header in (("pairs.csv", b"left,right,order"), ("boxes.csv", b"name,x,y,width,height")):
            (root / file).write_bytes(b"\n".join([header, *lines]))
        tables = read(root)
        assert all(problem.kind in KINDS and 2 <= problem.line <= 7 for problem in tables.problems)
        accounted = {vote.line for vote in tables.votes} | {p.line for p in tables.problems if p.file == "pairs.csv"}
        assert accounted == {number for number, line in enumerate(lines, 2) if line.strip()}


@pytest.mark.parametrize("file", ["pairs.csv", "ranked.csv", "boxes.csv"])
def test_boxes_in_unread_columns_are_named_with_a_remedy(root, file):
    header = {"pairs.csv": "left,right,order", "ranked.csv": "name,rank", "boxes.csv": "name"}[file]
    write(root, file, f"{header},face_x1,face_y1,face_x2,face_y2", "a.png,b.png,1,1,2,3,4")
    ((kind, _, line, text),) = read(root).problems
    assert (kind, line) == ("malformed line", 1) and "look like a box, but" in text and "face_x1,face_y1" in text


def test_columns_of_boxes_may_have_other_letter_case(root):
    write(root, "boxes.csv", "Name,X,Y,Width, Height", "./a.png,1,2,30,40")
    assert read(root).boxes == {"a.png": Boxed(2, (1, 2, 30, 40))}


def test_attributes_are_0_or_1_and_each_picture_has_one_line(root):
    write(
        root, "attributes.csv", "name,Male,Young", "a.png,1,yes", "b.png,-1,", "a.png,1,1", "./a.png,0,0", "x.png,1,1"
    )
    tables = read(root)
    assert tables.attributes == {"a.png": Described(4, {"Male": True, "Young": True})}
    assert [tuple(problem) for problem in tables.problems] == [
        ("malformed line", "attributes.csv", 2, "Young is 'yes', not 0 or 1"),
        ("malformed line", "attributes.csv", 3, "Male is '-1', Young is '', not 0 or 1"),
        ("repeated line", "attributes.csv", 5, "'a.png' is already on line 4"),
        ("unknown picture", "attributes.csv", 6, "'x.png'"),
    ]


@pytest.mark.parametrize("header", ["Male,Young", "name,Male,Male", "name,Male,"])
def test_attributes_need_a_name_and_other_names_of_columns(root, header):
    write(root, "attributes.csv", header, "a.png,1,0")
    (problem,) = read(root).problems
    assert tuple(problem)[:3] == ("malformed line", "attributes.csv", 1)


@pytest.mark.skipif(not CELEBA.is_dir(), reason=f"not in CI, as we may not publish them: the photographs of {CELEBA}")
def test_attributes_of_real_faces():
    tables = read(CELEBA)
    assert tables.problems == [] and tables.attributes.keys() == tables.ranks.keys()
    men = sum(described.attributes["Male"] for described in tables.attributes.values())
    with open(CELEBA / "attributes.csv") as file:
        assert men == sum(line.split(",")[1] == "1" for line in file) > 1000
