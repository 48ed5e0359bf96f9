"""The rules of the house: who may import what (docs/design.md)."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("blur_jax", "configs", "tfds_builders")
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")) + [ROOT / "launch.py"]
PEERS = ROOT / "benchmarks" / "peers"  # What the project is compared with.
WORKSHOP = sorted(path for package in ("experiments", "benchmarks") for path in (ROOT / package).rglob("*.py"))
MODULES = sorted(path for path in (ROOT / "blur_jax").rglob("*.py") if path != ROOT / "blur_jax" / "__init__.py")

# Each library's one module.
ONE_MODULE = {"orbax": "checkpoints", "grain": "data", "matplotlib": "figures", "tensorboardX": "writers"}

# Modules of blur_jax from the bottom up, a folder being one: each may import those above its own line, and itself.
LAYERS = (
    {"depthwise", "pictures", "untrusted", "user_cache"},
    {
        "losses",
        "metrics",
        "psf",
        "augment",
        "backbones",
        "pretrained",
        "optimizer",
        "preprocessing",
        "legacy",
        "ranking",
        "calibration",
        "command_line",
        "flag_errors",
        "interrupt",
        "comparisons",
        "discard_curve",
        "threshold_rules",
        "run_archive",
        "supervisor",
    },
    {
        "bootstrap",
        "degradations",
        "models",
        "distributed",
        "run_dir",
        "labeled_pairs",
        "calibration_fit",
        "prepared",
        "config_ranges",
    },
    {
        "evaluation_config",
        "train_state",
        "inference",
        "probe",
        "writers",
        "figures",
        "data",
        "decisions",
        "scoring",
        "occlusion",
    },
    {"checkpoints", "train_step", "data_summary", "provenance"},
    {"exporting", "report", "warm_start"},
    {"initialization", "scorer", "config_check", "validation"},
    {"train", "evaluate", "notebook", "export", "threshold_choice", "error_vs_discard", "score"},
    {"threshold", "dry_run"},
)


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


def module(path):
    """The module of blur_jax that a file is, or is in."""
    return path.relative_to(ROOT / "blur_jax").parts[0].removesuffix(".py")


def siblings(path):
    return {name.split(".")[1] for name in imports(path) if name.startswith("blur_jax.")}


def test_there_is_something_to_check():
    assert len(PRODUCT) > 20
    assert "pmap" in (ROOT / "blur_jax" / "distributed.py").read_text()


OWN = [path for path in PRODUCT + WORKSHOP if PEERS not in path.parents]


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_tensorflow_and_no_pytorch(path):
    assert not roots(path) & {"tensorflow", "torch", "torchvision", "keras"}


def test_nothing_imports_tensorflow_or_pytorch_behind_our_backs():
    modules = "launch, blur_jax.train, blur_jax.evaluate, tfds_builders.prepare"
    program = f"import sys, {modules}\nprint(sorted({{'tensorflow', 'torch'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("library", ONE_MODULE)
def test_a_library_has_one_module(library):
    users = [path for path in PRODUCT if library in roots(path)]
    assert {module(path) for path in users} == {ONE_MODULE[library]}


def test_pmap_has_one_file():
    users = [path.name for path in PRODUCT if "jax.pmap" in path.read_text() or "axis_name" in path.read_text()]
    assert users == ["distributed.py"]


def test_flags_are_for_launchers():
    flags = re.compile(r"\bFLAGS\b")  # XLA_FLAGS are others'.
    users = {path.name for path in PRODUCT if "absl.flags" in imports(path) or flags.search(path.read_text())}
    assert users == {"launch.py", "prepare.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_library_knows_neither_configs_nor_builders(path):
    assert not roots(path) & {"configs", "tfds_builders", "launch", "tests"}


def test_every_module_has_its_layer():
    assert sorted(name for layer in LAYERS for name in layer) == sorted({module(path) for path in MODULES})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "blur_jax")))
def test_imports_run_downwards(path):
    level = next(level for level, layer in enumerate(LAYERS) if module(path) in layer)
    assert siblings(path) <= set().union(*LAYERS[:level], {module(path)})


@pytest.mark.parametrize(
    ("module", "left_out"),
    [
        ("blur_jax", ("jax", "orbax", "tensorflow_datasets")),
        ("launch", ("jax", "numpy")),
        ("blur_jax.losses", ("flax", "orbax", "tensorflow_datasets", "matplotlib")),
        ("blur_jax.train", ("matplotlib",)),
        ("blur_jax.scorer", ("matplotlib", "tensorflow_datasets", "grain")),
    ],
)
def test_what_importing_a_module_leaves_out(module, left_out):
    program = f"import sys, {module}\nprint(sorted(set({left_out}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
