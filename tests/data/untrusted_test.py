"""What somebody else wrote: any damage is a ValueError that is short, at once."""

import io
import time

import pytest

from blur_jax.data.csv_tables import read_table
from blur_jax.data.untrusted import Place, excerpt, read_json

MEGABYTES = 10**7


def table(data, required=("name",)):
    return list(read_table(io.BytesIO(data), "list.csv", required))


def test_values_are_shown_as_they_are_or_cut():
    assert excerpt("a.jpg") == "'a.jpg'"
    assert excerpt(None) == "None"
    for long in ("x" * MEGABYTES, {"x" * MEGABYTES: 1}, [["x" * 1000] * 50] * 50, 10**4000):
        assert len(excerpt(long)) < 250


def test_json_of_any_depth_is_read_or_refused():
    assert read_json('{"a": [1]}') == {"a": [1]}
    for text in ("[" * 100_000, '{"a":' * 100_000, b"\xff", "1" * 5000):
        with pytest.raises(ValueError):
            read_json(text)


def test_a_table_has_byte_order_mark_crlf_quotes_and_any_bytes():
    data = b'\xef\xbb\xbf name ,other\r\n"a,""b.jpg",1\r\n\r\n\xff.jpg\r\n'
    assert table(data) == [
        (Place("list.csv", 2), {"name": 'a,"b.jpg', "other": "1"}),
        (Place("list.csv", 4), {"name": "\udcff.jpg", "other": None}),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"name,x,name\n", "list.csv:1: the header has a duplicate column: 'name,x,name'"),
        (b'name\na.jpg\n"b"c.jpg\n', "list.csv:3: not valid CSV "),
        (b'name\na.jpg\n"b.jpg\n', "list.csv:3: not valid CSV \\(unexpected end of data"),
        (b"," * 100_000, "list.csv:1: the line is longer than 65,536 characters"),
        (b"," * 60_000, "the header must have the columns name; found ',,,"),
        (b"name\n" + b"a" * MEGABYTES, "list.csv:2: the line is longer than"),
        (b'name\n"' + b"a\n" * MEGABYTES, r"list.csv:\d+: not valid CSV \(field larger than"),
    ],
)
def test_what_is_no_table_is_refused_at_once_and_in_short(data, message):
    start = time.process_time()
    with pytest.raises(ValueError, match=message) as caught:
        table(data)
    assert len(str(caught.value)) < 500
    assert time.process_time() - start < 1
