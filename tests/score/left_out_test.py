"""What scoring does not use is counted, named or refused, and names are found however they are spelled."""

import unicodedata

import pytest

from blur_jax.score.inputs import Input, Inputs
from blur_jax.threshold.choose import read_examples

BOXED = "name,x,y,width,height\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of pictures, other files and links, in the working directory."""
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    for name in ("a.jpg", "b.XCF", "c.xcf", "deep/d.psd", "e.zip", "README", "f.jpg.part", "report 1.2 final"):
        (photos / name).touch()
    for name in ("boxes.txt", "a.jpg.xmp", "scores.csv", "scores.csv.json", "Thumbs.db", ".hidden.xcf", "page.html"):
        (photos / name).touch()
    (photos / "deep" / "up").symlink_to(photos)
    (photos / "deep" / "again").symlink_to(photos)
    (photos / "gone").symlink_to("nowhere")
    return photos


def exhausted(*paths):
    inputs = Inputs(paths)
    return list(inputs), inputs.left_out


@pytest.mark.parametrize("paths", [["photos"], ["photos", "photos/"], ["./photos", "photos/**"]])
def test_files_that_are_passed_over_are_counted_once(folder, paths):
    (picture, *others), left_out = exhausted(*paths)
    assert others == [] and folder.joinpath("a.jpg").samefile(picture.name)
    assert left_out.files == {".xcf": 2, ".psd": 1, ".zip": 1, "without an extension": 2, ".part": 1}
    assert left_out.links == 3
    files, links = left_out.sentences()
    assert files.startswith("left out 7 files that are not pictures, by extension: 2 .xcf, 2 without an extension")
    assert links == "left out 3 links that are broken or lead back to a folder above"


def test_a_recursive_glob_enters_no_circle(folder):
    assert exhausted("photos/**/*.*")[0] == [Input("photos/a.jpg", None)]
    with pytest.raises(ValueError, match=r"photos/\*\*/\*\.tif: no file matches"):
        exhausted("photos/**/*.tif")


def test_a_folder_without_pictures_says_what_it_has(folder):
    (folder / "a.jpg").unlink()
    with pytest.raises(ValueError, match=r"no pictures found in photos; .*; left out 7 files .*: 2 \.xcf"):
        exhausted("photos")


def test_columns_and_repeated_rows_are_counted(folder):
    (folder / "list.csv").write_text("Name,who\na.jpg,Ann\n./a.jpg,Bob\na.jpg,Eve\n")
    (folder / "boxes.csv").write_text(BOXED + "a.jpg,1,2,3,4\na.jpg,1,2,3,4\n")
    pictures, left_out = exhausted("photos/list.csv", "photos")
    assert pictures == [Input("photos/a.jpg", None), Input("photos/a.jpg", (1, 2, 3, 4))]
    assert left_out.columns == {"photos/list.csv": ["who"]}
    assert left_out.repeats == {"photos/list.csv": 2, "photos/boxes.csv": 1}
    assert "photos/list.csv: 2 rows repeat an earlier name and box" in left_out.sentences()[-2]


def test_boxes_in_other_letter_case_are_not_passed_over(folder):
    (folder / "Boxes.csv").write_text(BOXED)
    with pytest.raises(ValueError, match=r"Boxes\.csv: rename the file to boxes\.csv"):
        exhausted("photos")


@pytest.mark.parametrize("name", ["./é.jpg", "deep\\..\\é.jpg", "e\u0301.jpg", " é.jpg"])
def test_lists_examples_boxes_and_paths_find_a_picture_however_it_is_spelled(folder, name):
    (folder / "é.jpg").touch()
    (folder / "list.csv").write_text(f"name\n{name}\n")
    (folder / "labels.csv").write_text(f"name,label\n{name},good\n")
    (folder / "boxes.csv").write_text(BOXED + f"{name},1,2,3,4\n")
    (listed,), _ = exhausted("photos/list.csv")
    (example,) = read_examples("photos/labels.csv")
    assert folder.joinpath("é.jpg").samefile(listed.name) and folder.joinpath("é.jpg").samefile(example.picture.name)
    assert Input("photos/é.jpg", (1, 2, 3, 4)) in exhausted("photos")[0]
    assert exhausted(unicodedata.normalize("NFD", "photos/é.jpg"))[0] == [Input("photos/é.jpg", None)]


def test_an_example_under_two_spellings_is_refused(folder):
    (folder / "labels.csv").write_text("name,label\na.jpg,good\n./a.jpg,bad\n")
    with pytest.raises(ValueError, match=r"labels\.csv:3: './a.jpg' is already in .*labels\.csv:2"):
        read_examples("photos/labels.csv")
