"""The worked example of docs/thresholds.md, by hand."""

import csv

import pytest
from PIL import Image

from blur_jax.evaluate import error_vs_discard
from tests.helpers.paths import ROOT

# In docs/edc, mated comparisons are of p<k>a, of sharpness 10 k, with p<k>b, which is always sharp; those of p0a, p1a
# and p3a do not match. One of ten non-mated comparisons does. All p<k>a are 100 pixels wide but p5a, 50, and p3a, 60.
FILES = [f"--{name}={ROOT / 'docs' / 'edc' / name}.csv" for name in ("comparisons", "scores")]


def test_the_example(tmp_path, capsys):
    curves, picture = tmp_path / "edc.csv", tmp_path / "edc.webp"
    columns = ["--column=sharpness", "--column=width:higher"]
    assert error_vs_discard.main([*FILES, "--fmr=0.1", *columns, f"--output={curves}", f"--figure={picture}"]) == 0
    out = capsys.readouterr().out
    # One of ten non-mated comparisons may match, that of 0.5: the threshold lies just above 0.09.
    assert "10 mated and 10 non-mated comparisons; at an FMR of 0.1 (similarity above 0.09) the FNMR is 0.3000" in out
    # Area up to 0.2: 0.1 * 3/10 + 0.1 * 2/9; the best has 0.04; at random it is 0.06.
    assert f"sharpness: partial area {0.03 + 0.1 * 2 / 9 - 0.04:.6f} up to 0.2 discarded, 0.611 times" in out
    assert "FNMR 0.1250 with 0.2 discarded" in out
    # By width, p5a goes first, wrongly: 0.1 * 3/10 + 0.1 * 3/9.
    assert f"width: partial area {0.03 + 0.1 / 3 - 0.04:.6f} up to 0.2 discarded, 1.167 times" in out
    shown = (ROOT / "docs" / "thresholds.md").read_text()
    assert [line for line in out.splitlines() if line not in shown] == []
    with open(curves) as file:
        rows = [(row["column"], float(row["discarded"]), float(row["fnmr"])) for row in csv.DictReader(file)]
    found = {round(discarded, 1): fnmr for column, discarded, fnmr in rows if column == "sharpness"}
    wanted = {0.0: 3 / 10, 0.1: 2 / 9, 0.2: 1 / 8, 0.3: 1 / 7, 0.4: 0, 0.5: 0, 0.6: 0, 0.7: 0, 0.8: 0, 0.9: 0}
    assert found == pytest.approx(wanted, abs=1e-6)
    assert rows[-3:] == [("width", 0.0, 0.3), ("width", 0.1, 0.333333), ("width", 0.2, 0.25)]
    with Image.open(picture) as opened:
        assert opened.format == "WEBP"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fmr=0.001"], "10 non-mated comparisons are too few to measure an FMR of 0.001; supply at least 1,000"),
        (["--fmr=0.1", "--column=width"], "width:higher or width:lower"),
        (["--fmr=0.1", "--limit=0"], "--limit must be in"),
        (["--fmr=0.1", "--figure=edc.pdf"], "must end in .webp"),
        (["--scores=nowhere.csv"], "No such file or directory: 'nowhere.csv'"),
    ],
)
def test_errors_are_one_sentence(options, message, capsys):
    assert error_vs_discard.main([*FILES, *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_distances_are_refused_before_anything_is_written(tmp_path, capsys):
    with open(FILES[0].partition("=")[2]) as file:
        rows = list(csv.reader(file))
    turned = [rows[0], *([left, right, str(-float(value)), mated] for left, right, value, mated in rows[1:])]
    with open(tmp_path / "c.csv", "w", newline="") as file:
        csv.writer(file).writerows(turned)
    output = tmp_path / "edc.csv"
    assert (
        error_vs_discard.main([FILES[1], f"--comparisons={tmp_path / 'c.csv'}", "--fmr=0.1", f"--output={output}"]) == 2
    )
    assert "less similar" in capsys.readouterr().err and not output.exists()
