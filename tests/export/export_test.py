"""The command that exports a run, and the example that scores with its file and without JAX."""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import ExifTags, Image

import blur_jax
from blur_jax.export import __main__ as export
from blur_jax.export import formats, metadata, writing
from blur_jax.runs import checkpoints
from blur_jax.runs.threshold import Threshold, write_threshold
from blur_jax.score import __main__ as score
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def run(shared_run, tmp_path_factory):
    """A copy of the shared run, with a threshold and metrics of its checkpoint."""
    folder = shutil.copytree(shared_run[1], tmp_path_factory.mktemp("export") / "run")
    scorer = blur_jax.load_scorer(folder)
    write_threshold(folder, Threshold(0.61, "chosen by a test", scorer.fingerprint, scorer.step))
    value = {"value": 0.8, "low": 0.7, "high": 0.9}
    (folder / "metrics.json").write_text(json.dumps({"step": 6, "splits": {"test": {"spearman": value}}}))
    return folder


@pytest.fixture(scope="module")
def scorer(run):
    return blur_jax.load_scorer(run)


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """{format: an exported file}."""
    folder, outputs = tmp_path_factory.mktemp("exports"), {}
    for name, chosen in formats.FORMATS.items():
        outputs[name] = folder / f"scorer{chosen.ending}"
        assert export.main([f"--checkpoint={run}", f"--format={name}", f"--output={outputs[name]}"]) == 0
    return outputs


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Files of every kind that the example promises to treat as scoring does."""
    folder = tmp_path_factory.mktemp("photographs")
    image = Image.fromarray(np.tile(writing.sample_images(64)[3], (1, 2, 1))[:, :90])
    image.save(folder / "wide.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image.rotate(20).save(folder / "turned.jpg", exif=exif)
    image.convert("CMYK").save(folder / "cmyk.jpg")
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    clear.save(folder / "clear.png")
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    image.convert("P").save(folder / "palette.png", transparency=3)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def example(files, photographs):
    """What the example prints where JAX cannot be imported: {path: (blur, sharpness)}."""
    blocked = "import sys\nfor name in ('jax', 'jaxlib', 'flax', 'blur_jax'): sys.modules[name] = None\n"
    program = f"{blocked}import runpy; runpy.run_path({str(ROOT / 'examples' / 'score_onnx.py')!r})"
    command = [sys.executable, "-c", program, str(files["onnx"]), *map(str, photographs)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    pattern = r"^(.*)\tblur ([0-9.]+)\tsharpness ([0-9.]+)$"
    return {path: (float(blur), float(sharpness)) for path, blur, sharpness in re.findall(pattern, output, re.M)}


def test_the_files_the_metadata_and_the_card_are_of_the_run(files, scorer):
    assert sorted(path.name for path in files["onnx"].parent.iterdir()) == [
        *("scorer.onnx", "scorer.onnx.README.md", "scorer.safetensors", "scorer.safetensors.README.md"),
        *("scorer.stablehlo", "scorer.stablehlo.README.md", "scorer.stablehlo.json"),
    ]
    described = metadata.decode(formats.read_onnx_metadata(files["onnx"]))
    assert described["checkpoint"]["fingerprint"] == scorer.fingerprint
    assert described["threshold"]["source"] == "chosen by a test"
    assert described["data"] == "demo_face_blur"
    card = files["onnx"].with_name("scorer.onnx.README.md").read_text()
    assert "| test | Spearman correlation with the true rank | 0.800 [0.700, 0.900] |" in card
    assert "blur < 0.61" in card


@pytest.mark.parametrize("name", formats.FORMATS)
def test_the_code_of_the_card_gives_the_scores_of_the_run(files, scorer, photographs, name, monkeypatch, tmp_path):
    for source, copy in zip(photographs[-2:], ("a.jpg", "b.jpg")):
        Image.open(source).convert("RGB").save(tmp_path / copy)
    monkeypatch.chdir(tmp_path)
    (tmp_path / files[name].name).symlink_to(files[name])
    code = re.search("```python\n(.*?)```", files[name].with_name(f"{files[name].name}.README.md").read_text(), re.S)[1]
    names = {}
    exec(code, names)
    wanted = scorer.score(["a.jpg", "b.jpg"])
    np.testing.assert_allclose(names["columns"]["blur"], wanted, atol=1e-5)
    # It crops around a box as scoring does, here one that reaches the picture's edge.
    box = (50, 20, 30, 40)
    np.testing.assert_array_equal(names["prepare"]("b.jpg", box), scorer.prepare("b.jpg", box))


@pytest.mark.parametrize("backend", ["xla", "onnx"])
def test_the_example_scores_as_the_command_does(run, example, photographs, tmp_path, backend):
    output = tmp_path / "scores.csv"
    command = [f"--checkpoint={run}", f"--output={output}", f"--backend={backend}", "--batch-size=4"]
    assert score.main([*command, *map(str, photographs)]) == 0
    with open(output, newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert np.ptp([float(row["blur"]) for row in rows.values()]) > 1e-3  # or nothing would be shown
    assert set(example) == set(map(str, photographs))
    for name, (blur, sharpness) in example.items():
        (row,) = [row for found, row in rows.items() if found.endswith(pathlib.Path(name).name)]
        assert blur == pytest.approx(float(row["blur"]), abs=1e-5)
        assert sharpness == pytest.approx(float(row["sharpness"]), abs=1e-3)


def test_an_unknown_backend_is_refused(run):
    with pytest.raises(ValueError, match="backend='torch' is unknown; use 'xla' or 'onnx'"):
        blur_jax.load_scorer(run, backend="torch")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("scorer.onnx", {}, r"scorer\.onnx already exists; use a different --output, or pass --overwrite"),
        ("scorer.onnx", {"format": "stablehlo"}, r"scorer\.onnx must end in \.stablehlo for --format=stablehlo"),
        ("nowhere/scorer.onnx", {}, "the folder .*nowhere does not exist"),
        ("new.onnx", {"checkpoint": "nowhere"}, "nowhere: no checkpoint here"),
    ],
)
def test_what_cannot_be_exported_is_told_in_a_line(run, files, capsys, name, options, message):
    options = {"checkpoint": run, "format": "onnx", "output": files["onnx"].parent / name} | options
    before = sorted(files["onnx"].parent.iterdir())
    assert export.main([f"--{key}={value}" for key, value in options.items()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert sorted(files["onnx"].parent.iterdir()) == before


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_missing_package_is_told_in_a_line(tmp_path, capsys, monkeypatch, name):
    package = formats.FORMATS[name].packages[0]
    find = formats.importlib.util.find_spec
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None if name == package else find(name))
    output = tmp_path / f"a{formats.FORMATS[name].ending}"
    assert export.main(["--checkpoint=RUN", f"--format={name}", f"--output={output}"]) == 2
    wanted = f'export: {name} needs the {package} package; run pip install -e ".[export]"\n'
    assert capsys.readouterr().err == wanted


def test_a_threshold_of_another_checkpoint_is_refused(run, files, capsys, monkeypatch, tmp_path):
    other = Threshold(0.5, "of an older checkpoint", "f" * 16, 2)
    monkeypatch.setattr(Threshold, "from_dict", lambda fields: other)
    command = [f"--checkpoint={run}", "--format=safetensors", f"--output={tmp_path / 'a.safetensors'}"]
    assert export.main(command) == 2
    assert "not for the loaded checkpoint" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
    assert export.main([*command, "--keep-below=0.4", "--license=cc-by-4.0"]) == 0
    described = metadata.decode(formats.read_safetensors_metadata(tmp_path / "a.safetensors"))
    assert (described["threshold"]["keep_below"], described["license"]["id"]) == (0.4, "cc-by-4.0")


def test_a_bfloat16_run_is_exported_and_compared_in_float32(run, monkeypatch, tmp_path):
    network, params = checkpoints.load_network(checkpoints.find(run))
    low = network.clone(backbone=network.backbone.clone(dtype=jnp.bfloat16))
    monkeypatch.setattr(checkpoints, "load_network", lambda saved: (low, params))
    output = tmp_path / "a.safetensors"
    assert export.main([f"--checkpoint={run}", "--format=safetensors", f"--output={output}"]) == 0
