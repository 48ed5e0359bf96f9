"""The rules of the house: who may import what (DESIGN.md, section 2)."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("blur_jax", "configs", "tfds_builders")
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")) + [ROOT / "launch.py"]
MODULES = sorted((ROOT / "blur_jax").glob("*.py"))

# Each library's one file.
ONE_FILE = {"orbax": "checkpoints.py", "grain": "data.py", "matplotlib": "figures.py", "tensorboardX": "writers.py"}

# Of the project, what each module of blur_jax may import; imports run downwards only.
ALLOWED = {
    "losses": set(),
    "metrics": set(),
    "bootstrap": {"metrics"},
    "degradations": {"psf"},
    "psf": set(),
    "augment": set(),
    "backbones": set(),
    "models": {"backbones"},
    "pretrained": set(),
    "optimizer": set(),
    "probe": set(),
    "preprocessing": set(),
    "parallel": set(),
    "train_state": set(),
    "figures": set(),
    "report": {"figures"},
    "writers": set(),
    "data": {"preprocessing"},
    "train_step": {"augment", "degradations", "losses", "models", "parallel", "train_state"},
    "checkpoints": {"preprocessing", "train_state"},
    "scorer": {"checkpoints", "models", "preprocessing", "train_step"},
}


def imports(path):
    """Dotted names that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def roots(path):
    return {name.split(".")[0] for name in imports(path)}


def siblings(path):
    return {name.split(".")[1] for name in imports(path) if name.startswith("blur_jax.")}


def test_there_is_something_to_check():
    assert len(PRODUCT) > 20
    assert "pmap" in (ROOT / "blur_jax" / "parallel.py").read_text()


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_tensorflow_and_no_pytorch(path):
    assert not roots(path) & {"tensorflow", "torch", "torchvision", "keras"}


def test_nothing_imports_tensorflow_or_pytorch_behind_our_backs():
    program = "import sys, launch, tfds_builders.prepare\nprint(sorted({'tensorflow', 'torch'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("library", ONE_FILE)
def test_a_library_has_one_file(library):
    assert [path.name for path in PRODUCT if library in roots(path)] == [ONE_FILE[library]]


def test_pmap_has_one_file():
    users = [path.name for path in PRODUCT if "jax.pmap" in path.read_text() or "axis_name" in path.read_text()]
    assert users == ["parallel.py"]


def test_flags_are_for_launchers():
    users = {path.name for path in PRODUCT if "absl.flags" in imports(path) or "FLAGS" in path.read_text()}
    assert users == {"launch.py", "prepare.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_library_knows_neither_configs_nor_builders(path):
    assert not roots(path) & {"configs", "tfds_builders", "launch", "tests"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_imports_run_downwards(path):
    allowed = ALLOWED.get(path.stem)
    if allowed is None:
        assert path.stem in ("__init__", "train", "evaluate"), f"say in ALLOWED what {path.name} may import"
    else:
        assert siblings(path) <= allowed
    assert not siblings(path) & ({"train", "evaluate"} if path.stem != "train" else set())


def test_launch_is_short_and_holds_no_logic():
    assert len((ROOT / "launch.py").read_text().splitlines()) < 100
