"""What a wheel of the project holds."""

import shutil
import subprocess
import sys
import zipfile

from tests.helpers.paths import ROOT


def test_the_wheel_holds_every_module_a_new_builder_and_nothing_else(tmp_path):
    copy = tmp_path / "project"
    for folder in ("blur_jax", "tfds_builders", "configs", "experiments", "benchmarks", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    (copy / "tfds_builders" / "new_face_blur").mkdir()
    (copy / "tfds_builders" / "new_face_blur" / "__init__.py").touch()
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    modules = [path for room in ("blur_jax", "tfds_builders") for path in (copy / room).rglob("*.py")]
    assert {path.relative_to(copy).as_posix() for path in modules} <= files
    assert {f"blur_jax/shipped/portraits-2.{ending}" for ending in ("npz", "md", "csv")} <= files
    assert {f"blur_jax/label/{name}" for name in ("page.html", "page.css", "page.js", "review.js")} <= files
    tops = {name.split("/")[0] for name in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"blur_jax", "tfds_builders"}
