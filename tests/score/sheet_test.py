"""The page of pictures sorted by score."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.score import sheet
from blur_jax.score.journal import Row

PROTOCOL = Preprocessing(image_size=32)


@pytest.fixture
def rows(tmp_path):
    """Pictures 0.png to 11.png, of gray level 20 * i and blur i / 20, not in the order of their scores; and two bad."""
    found = []
    for index in (3, 0, 11, 5, 2, 1, 4, 6, 7, 8, 9, 10):
        path = tmp_path / f"{index}.png"
        Image.new("L", (40, 60), 20 * index).save(path)
        found.append(Row(str(path), None, index / 20, None))
    bad = Row(str(tmp_path / "<b>&bad.jpg"), None, None, "it is <cut> short")
    return [bad, *found, Row("gone.jpg", None, None, "the file does not exist")]


def page(path, rows, **options):
    picks = sheet.Picks(np.array([row.blur for row in rows], np.float32))  # None becomes NaN.
    assert list(picks.watch(rows)) == list(rows)
    sheet.write(str(path), picks, PROTOCOL, **{"keep_below": None, "title": "scores.csv"} | options)
    return path.read_text(encoding="utf-8")


def thumbnails(text):
    """The gray level of each picture on the page."""
    encoded = re.findall(r'src="data:image/webp;base64,([^"]+)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))).mean() for one in encoded]


def test_pictures_are_sorted_by_score(rows, tmp_path):
    text = page(tmp_path / "sheet.html", rows)
    assert re.findall(r"<b>(0\.\d\d\d)</b>", text) == [f"{index / 20:.3f}" for index in range(12)]
    np.testing.assert_allclose(thumbnails(text), [20 * index for index in range(12)], atol=2)
    assert "All pictures" in text


def test_many_pictures_are_sampled_evenly(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "_PICTURES", 3)
    text = page(tmp_path / "sheet.html", rows)
    # Of 12, sorted: the first, the last and the one in the middle, 5.5 rounded to even.
    assert re.findall(r"<b>(0\.\d\d\d)</b>", text) == ["0.000", "0.300", "0.550"]
    assert "3 of 12 pictures" in text


# 0 to 5 are kept at 0.3: 6 / 20 is not below it.
@pytest.mark.parametrize(("threshold", "kept"), [(0.0, 0), (0.3, 6), (1.0, 12)])
def test_a_threshold_is_a_line_between_the_kept_and_the_discarded(rows, tmp_path, threshold, kept):
    before, after = page(tmp_path / "sheet.html", rows, keep_below=threshold).split("<div class=line>")
    assert (len(thumbnails(before)), len(thumbnails(after))) == (kept, 12 - kept)
    assert f"Threshold {threshold:g}: {kept} before this line are kept, {12 - kept} after it discarded" in after


def test_names_and_reasons_are_escaped_and_the_page_loads_nothing(rows, tmp_path):
    path = tmp_path / '" onerror="x.png'
    Image.new("L", (40, 40), 99).save(path)
    gone = Row(str(tmp_path / "gone.png"), None, 0.5, None)
    text = page(tmp_path / "sheet.html", [*rows, Row(str(path), None, 0.5, None), gone], title="<i>mine</i>")
    assert "&lt;b&gt;&amp;bad.jpg" in text and "it is &lt;cut&gt; short" in text and "&lt;i&gt;mine" in text
    assert "<cut>" not in text and "<i>" not in text
    assert "&quot; onerror=&quot;x.png" in text and '" onerror' not in text
    assert "2 could not be scored" in text and "no longer readable" in text
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert "http:" not in text and "https:" not in text and "<script" not in text


def test_failures_are_listed_up_to_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "_FAILURES", 2)
    text = page(tmp_path / "sheet.html", [Row(f"{index}.jpg", None, None, "bad") for index in range(5)])
    assert "1.jpg" in text and "2.jpg" not in text
    assert "Only the first 2 of 5 are shown here." in text


def test_the_thumbnail_is_the_crop_that_was_scored(tmp_path):
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[10:40, 50:80] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    text = page(tmp_path / "sheet.html", [Row(str(tmp_path / "a.png"), (50, 10, 30, 30), 0.5, None)])
    np.testing.assert_allclose(thumbnails(text), [200], atol=2)
