"""The rules of the house: who may import what (docs/design.md)."""

import ast
import re
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

# The folders of blur_jax from the ground up: each imports from floors below its own, and from itself.
FLOORS = (
    {"data", "shipped"},
    {"models", "metrics"},
    {"runs"},
    {"train", "export"},
    {"score"},
    {"threshold"},
    {"label"},
    {"evaluate"},
)
PRODUCT = [
    path for folder in ("blur_jax", "configs", "tfds_builders") for path in sorted((ROOT / folder).rglob("*.py"))
]
WORKSHOP = [path for folder in ("experiments", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
PEERS = ROOT / "benchmarks" / "peers"  # What the project is compared with.
# The one place of each library.
ONE_PLACE = {
    "cv2": "blur_jax/data/face_boxes.py",
    "orbax": "blur_jax/runs/checkpoints/",
    "grain": "blur_jax/data/batches.py",
    "matplotlib": "blur_jax/evaluate/figures/",
    "tensorboardX": "blur_jax/train/log.py",
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


IMPORTS = {path.relative_to(ROOT).as_posix(): imports(path) for path in [*PRODUCT, ROOT / "launch.py"]}


def users(library):
    return {path for path, names in IMPORTS.items() if any(name.split(".")[0] == library for name in names)}


def test_every_folder_has_its_floor():
    folders = {path.name for path in (ROOT / "blur_jax").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert sorted(name for floor in FLOORS for name in floor) == sorted(folders)
    assert not [path for path in (ROOT / "blur_jax").glob("*.py") if path.name != "__init__.py"]


def test_imports_run_downwards():
    upwards = []
    for path, names in IMPORTS.items():
        _, *folder = path.split("/")[:2]
        if not path.startswith("blur_jax/") or path.count("/") < 2:
            continue
        level = next(level for level, floor in enumerate(FLOORS) if folder[0] in floor)
        allowed = set().union(*FLOORS[:level], folder)
        found = {name.split(".")[1] for name in names if name.startswith("blur_jax.")}
        upwards += [f"{path} imports {other}" for other in sorted(found - allowed)]
    assert upwards == []


def test_the_library_knows_neither_configs_nor_builders():
    for package in ("configs", "tfds_builders", "launch", "tests"):
        assert not {path for path in users(package) if path.startswith("blur_jax/")}


@pytest.mark.parametrize("library", ONE_PLACE)
def test_a_library_has_one_place(library):
    found = users(library)
    assert found
    assert all(path.startswith(ONE_PLACE[library]) for path in found), found


def test_pmap_has_one_file():
    found = [path for path in IMPORTS if re.search(r"jax\.pmap|axis_name", (ROOT / path).read_text(encoding="utf-8"))]
    assert found == ["blur_jax/runs/distributed.py"]


def test_flags_are_for_launchers():
    flags = re.compile(r"\bFLAGS\b")  # XLA_FLAGS are others'.
    found = {
        path for path, names in IMPORTS.items() if "absl.flags" in names or flags.search((ROOT / path).read_text())
    }
    assert found == {"launch.py", "blur_jax/runs/config_flag.py", "tfds_builders/prepare.py"}


def test_nothing_imports_tensorflow_or_pytorch():
    own = [path for path in [*PRODUCT, *WORKSHOP] if PEERS not in path.parents]
    roots = {name.split(".")[0] for path in own for name in imports(path)}
    assert not roots & {"tensorflow", "torch", "torchvision", "keras"}


# {module: what importing it leaves out, though all before it are imported}
LEFT_OUT = {
    "launch": ("jax", "numpy"),
    "blur_jax.score.__main__": ("jax", "numpy"),
    "blur_jax.label.__main__": ("jax", "numpy"),
    "blur_jax.score.undo": ("jax",),
    "blur_jax": ("jax", "orbax", "tensorflow_datasets"),
    "blur_jax.metrics": ("jax", "scipy", "tensorflow_datasets"),
    "blur_jax.label.server": ("jax", "flax", "orbax"),
    "experiments.summarize": ("jax",),
    "blur_jax.train.losses": ("flax", "orbax", "tensorflow_datasets", "matplotlib"),
    "blur_jax.score.scorer": ("matplotlib", "tensorflow_datasets", "grain"),
    "blur_jax.train.loop": ("matplotlib", "tensorflow", "torch"),
    "blur_jax.evaluate.report": ("matplotlib.pyplot",),
    "blur_jax.evaluate.evaluation": ("tensorflow", "torch"),
    "tfds_builders.prepare": ("tensorflow", "torch"),
}


def test_what_importing_a_module_leaves_out():
    program = f"""
import importlib, sys
for module, left_out in {LEFT_OUT!r}.items():
    importlib.import_module(module)
    print(module, set(left_out) & set(sys.modules))
"""
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.splitlines() == [f"{module} set()" for module in LEFT_OUT], found.stderr
