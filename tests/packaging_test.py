"""What a wheel of the project holds."""

import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory):
    """Files of the wheel of a copy of the project to which somebody has added a builder."""
    copy, wheels = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("wheels")
    for folder in ("blur_jax", "tfds_builders", "configs", "experiments", "benchmarks", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    (copy / "tfds_builders" / "new_face_blur").mkdir()
    (copy / "tfds_builders" / "new_face_blur" / "__init__.py").touch()
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(wheels)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_every_module_is_in_the_wheel(wheel_files):
    modules = [path for room in ("blur_jax", "tfds_builders") for path in (ROOT / room).rglob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in modules} <= wheel_files


def test_a_new_builder_is_in_the_wheel(wheel_files):
    assert "tfds_builders/new_face_blur/__init__.py" in wheel_files


def test_what_is_not_the_library_is_not_in_the_wheel(wheel_files):
    tops = {name.split("/")[0] for name in wheel_files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"blur_jax", "tfds_builders"}
