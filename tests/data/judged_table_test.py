"""Reading judged pairs: every error names its line."""

import numpy as np
import pytest

from blur_jax.data import judged_table
from tests.helpers.paths import SHARED

HEADER = "split,left,right,ann,ann_sure,ben,ben_sure\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "judged.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_pairs_are_read(write):
    found = judged_table.read(write(HEADER + 'near,x/a.jpg,.\\b.jpg,1,1,-1,0\nfar,"c, d.jpg",a.jpg,-1,0,-1,1\n'))
    assert found.splits == ["near", "far"]
    assert found.names == [("x/a.jpg", "b.jpg"), ("c, d.jpg", "a.jpg")]
    assert found.judges == ["ann", "ben"]
    assert found.orders.tolist() == [[1, -1], [-1, -1]]
    assert found.sure.tolist() == [[True, False], [False, True]]


def test_there_may_be_any_number_of_judges_in_any_order(write):
    found = judged_table.read(write("c_sure,b,b_sure,a_sure,a,c,right,left,split\n0,1,1,1,-1,+1,r.jpg,l.jpg,near\n"))
    assert found.judges == ["b", "a", "c"] and found.names == [("l.jpg", "r.jpg")]
    assert found.orders.tolist() == [[1, -1, 1]] and found.sure.tolist() == [[True, True, False]]


def test_the_same_pictures_may_be_compared_in_two_splits(write):
    assert len(judged_table.read(write(HEADER + "near,a,b,1,1,1,1\nfar,a,b,1,1,1,1\n")).names) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left,right,ann,ann_sure\na,b,1,1\n", "csv:1: the header must have the columns split, left, right; found"),
        ("split,left,right,ann\nx,a,b,1\n", "csv:1: add the column 'ann_sure': 1 if the judge was sure"),
        ("split,left,right,ann_sure\nx,a,b,1\n", "csv:1: 'ann_sure' has no judge column; add the column 'ann'"),
        ("split,left,right\nx,a,b\n", "csv:1: there are no judge columns; add two columns"),
        (HEADER, "judged.csv: there are no pairs; add lines"),
        (HEADER + "x,a,b,1,1,1,1\nx,b,a,1,1,1,1\n", r"csv:3: 'x' already has this pair in .*csv:2; delete one"),
        (HEADER + "x,a,./a,1,1,1,1\n", "csv:2: 'a' is compared with itself; correct or delete"),
        (HEADER + "x,a,,1,1,1,1\n", "csv:2: split, left and right must not be empty"),
        (HEADER + "x,a,b,0,1,1,1\n", r"csv:2: ann must be 1 \(the right .*\) or -1 \(the left one is\), found '0'"),
        (HEADER + "x,a,b,1,1,1,\n", r"csv:2: ben_sure must be 1 \(the judge was sure\) or 0 \(a guess\), found ''"),
        (HEADER + "x,a,b,1,1,1\n", "csv:2: the row has 6 fields but the header has 7"),
        (HEADER + "x,a, b,c.jpg,1,1,1,1\n", "csv:2: the row has 8 fields but the header has 7; quote names"),
    ],
)
def test_other_tables_are_refused(write, text, message):
    with pytest.raises(ValueError, match=message):
        judged_table.read(write(text))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} with real judged pairs is not on this machine")
def test_the_real_judges():
    found = judged_table.read(SHARED / "judged.csv")
    assert found.judges == ["first", "second"]
    agreed = found.orders[:, 0] == found.orders[:, 1]
    far = np.array(found.splits) == "celeba_blur"
    assert (far.sum(), (agreed & far).sum(), (~far).sum(), (agreed & ~far).sum()) == (100, 78, 150, 143)
