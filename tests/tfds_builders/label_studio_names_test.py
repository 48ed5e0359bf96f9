"""Label Studio's references to pictures: every way to write one, and what they may not do."""

import base64

import pytest

from tfds_builders.label_studio.names import Names

LOCAL, UPLOAD = "/data/local-files/?d=", "/data/upload/3/ab12cd34-"
RESOLVE = "/tasks/12/resolve/?fileuri="


@pytest.fixture
def find(tmp_path):
    """Names of a folder with the given pictures and three others: from references to names."""

    def find(*pictures, strip_prefix=None, **options):
        for name in (*pictures, "one.jpg", "x/same.jpg", "y/same.jpg"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        names = Names(tmp_path, strip_prefix, **options)
        return lambda reference: names.find({"a": reference}, "a")

    return find


@pytest.mark.parametrize(
    ("name", "references"),
    [
        (
            "one.jpg",
            ["one.jpg", UPLOAD + "one.jpg", "s3://bucket/photos/one.jpg", "HTTPS://h/uploads/0f12cd34-one.jpg#x"],
        ),
        ("one.jpg", [RESOLVE + base64.b64encode(b"s3://b/my/one.jpg").decode(), RESOLVE + "s3%3A%2F%2Fb%2Fone.jpg"]),
        (
            "y/same.jpg",
            ["https://host/photos/y/same.jpg?X-Amz-Signature=1#x", "https://host/y/same.jpg?from=x/same.jpg"],
        ),
        ("day 1/thrée (a).jpg", [LOCAL + "mnt/day%201/thr%C3%A9e%20(a).jpg", UPLOAD + "thrée_a.jpg"]),
        ("day 1/thrée (a).jpg", ["http://h/storage-data/uploaded/?filepath=upload/3/ab12cd34-thr%C3%A9e_a.jpg"]),
        ("s/cat+dog.jpg", [LOCAL + "s/cat+dog.jpg", LOCAL + "s%2Fcat%2Bdog.jpg", "https://h/x/s/cat+dog.jpg?sig=a/b"]),
        ("s/a&b=c #1.jpg", [LOCAL + "s/a&b=c #1.jpg", LOCAL + "s/a%26b%3Dc+%231.jpg&v=2", "s3://k/s/a&b=c #1.jpg"]),
        ("what?/100%.jpg", ["gs://bucket/what?/100%.jpg", LOCAL + "what%3F/100%25.jpg", "what%253F/100%2525.jpg"]),
        ("a%20b.jpg", ["x/a%20b.jpg", "x/a%2520b.jpg"]),
        (
            "d/é.jpg",
            ["C:\\my photos\\d\\é.jpg", "file:///C:/d/%C3%A9.jpg", LOCAL + "D:%5Cd%5C%C3%A9.jpg", "d//./é.jpg"],
        ),
    ],
)
def test_a_reference_is_decoded_in_the_way_that_leads_to_a_picture(find, name, references):
    for reference in references:
        assert find(name)(reference) == name


def test_encodings_of_one_path_are_one_reference(find):
    found = find("d/a b.jpg")
    for reference in ("my x/d/a b.jpg", "my%20x/d/a%20b.jpg", "my+x/d/a+b.jpg", "my x\\d\\a b.jpg"):
        assert found(LOCAL + reference) == "d/a b.jpg"


@pytest.mark.parametrize(
    "reference", ["s3://bucket/none.jpg", LOCAL + "../../etc/passwd", RESOLVE + "?", LOCAL, "", "/"]
)
def test_a_reference_to_no_picture_is_refused(find, reference):
    with pytest.raises(ValueError, match="is not a picture in .* --strip-prefix"):
        find()(reference)


@pytest.mark.parametrize(
    ("names", "reference", "exact"),
    [
        (("a+b.jpg", "a b.jpg"), LOCAL + "a+b.jpg", "a+b.jpg"),
        (("a%20b.jpg", "a b.jpg"), "s3://bucket/a%20b.jpg", "a%20b.jpg"),
        (("a.jpg", "a.jpg#1.jpg"), LOCAL + "a.jpg#1.jpg", "a.jpg#1.jpg"),
        (("x/same.jpg", "y/same.jpg"), UPLOAD + "same.jpg", None),
    ],
)
def test_a_reference_to_several_pictures_is_refused_unless_a_prefix_gives_the_name(find, names, reference, exact):
    with pytest.raises(ValueError, match="matches .* and .*--strip-prefix") as caught:
        find(*names)(reference)
    assert all(repr(name) in str(caught.value) for name in names)
    if exact:
        assert find(*names, strip_prefix=reference[: -len(exact)])(reference) == exact


def test_a_longer_end_goes_before_another_decoding(find):
    assert find("s/a+b.jpg", "a b.jpg")(LOCAL + "s/a+b.jpg") == "s/a+b.jpg"
    assert find("a+b.jpg", "a b.jpg")(LOCAL + "a%2Bb.jpg") == "a+b.jpg"


@pytest.mark.parametrize("other", ["s3://bucket/old/one.jpg", "/data/upload/3/0012cd34-one.jpg"])
def test_two_references_to_one_picture_are_refused_unless_copies_are_merged(find, other):
    found = find()
    found(UPLOAD + "one.jpg")
    with pytest.raises(ValueError, match="both match 'one.jpg'; pass --strip-prefix .* --merge-copies"):
        found(other)
    assert list(map(find(merge_copies=True), (UPLOAD + "one.jpg", other))) == ["one.jpg", "one.jpg"]


@pytest.mark.parametrize("prefix", ["/photos/", "https://host/photos/", "https://host/my%20photos"])
def test_a_prefix_precedes_the_name_in_the_path_or_in_the_whole_address(find, prefix):
    reference = f"https://host/{'my%20' * ('my' in prefix)}photos/x/same.jpg?sig=a/b"
    assert find(strip_prefix=prefix)(reference) == "x/same.jpg"


@pytest.mark.parametrize("prefix", ["C:\\p\\", "C:/p"])
def test_the_name_is_the_text_after_a_prefix(find, prefix):
    found = find(strip_prefix=prefix)
    assert found("C:\\p\\x\\same.jpg".replace("C:\\p\\", prefix)) == "x/same.jpg"
    for reference in (f"{prefix}z/x/same.jpg", "D:/p/x/same.jpg"):
        with pytest.raises(ValueError, match="is not a picture"):
            found(reference)
