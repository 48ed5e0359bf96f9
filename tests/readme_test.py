"""What README.md and docs/ say is tried: the examples run, and the commands, fields, flags and files exist."""

import functools
import importlib.util
import re

import numpy as np
import pytest
from PIL import Image

import blur_jax
from configs import default
from tests.helpers import forked
from tests.helpers.configs import flattened
from tests.helpers.paths import ROOT
from tests.helpers.readme import README, blocks, section

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
}
ROOMS = "configs|experiments|benchmarks|notebooks|tests|blur_jax|tfds_builders|docs"


def commands(text):
    """The Python commands of a page as (file or module, its flags)."""
    found = re.findall(
        r"python (launch\.py|-m (?:blur_jax|experiments|benchmarks|tfds_builders)(?:\.\w+)+)((?: +(?!&&)[^\s`|\"]+)*)",
        text,
    )
    return [(target.removeprefix("-m "), set(re.findall(r" --([a-z_-]+)\b(?!\.)", rest))) for target, rest in found]


@functools.cache
def defined_flags(target):
    """The flags that a command lists, one definition a line; it is asked in a forked process of 0.5 s."""
    command = [target] if target.endswith(".py") else ["-m", target]
    code, out, err = forked.run(*command, "--helpfull")  # absl's; --help leaves out flags of other modules.
    if code == 2:  # argparse's.
        code, out, err = forked.run(*command, "--help")
    flags = set(re.findall(r"^ {2,4}(?:-\w(?: \w+)?, )?--(?:\[no\])?([a-z][\w-]*)", out, re.M))
    assert flags, err
    return flags


def unknown_flags(text):
    """[(command, flag)] of a text that the command does not define; peers' need PyTorch, which few have here."""
    known = [command for command in commands(text) if importlib.util.find_spec("torch") or ".peers." not in command[0]]
    return [(target, flag) for target, flags in known for flag in sorted(flags - defined_flags(target))]


@pytest.fixture
def pictures(tmp_path):
    """The files that the README's examples name: noise of several sizes."""
    rng = np.random.default_rng(0)
    for name, size in {"a.jpg": 50, "b.jpg": 64, "party.jpg": 240}.items():
        Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


def test_the_python_examples_run(shared_run, pictures, monkeypatch, capsys):
    (pictures / "runs").mkdir()
    (pictures / "runs" / "demo").symlink_to(shared_run[1])
    monkeypatch.chdir(pictures)
    capsys.readouterr()
    names = {}
    for example in blocks(README, "python"):
        exec(compile(example, "README.md", "exec"), names)
    assert names["scores"].shape == (1,)  # The face in party.jpg.
    assert np.issubdtype(names["scores"].dtype, np.float32)
    own = blur_jax.load_scorer().score(["party.jpg"], boxes=[(120, 40, 96, 110)])
    assert names["scores"] == own
    assert "sharpness" in capsys.readouterr().out


def test_no_command_writes_what_another_has_written():
    lines = "\n".join(blocks(README, "bash"))
    written = re.findall(r"--(?:output|sheet|boxes|copy-to)=(\S+)", lines)
    assert len(written) == len(set(written)) > 6


def test_ci_runs_the_tests_as_the_quick_start_does():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == blocks(section("Quick start"), "bash")[1].strip()
    assert "bash .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist_with_their_flags(page):
    assert unknown_flags(PAGES[page]) == []


def test_a_flag_of_another_command_is_noticed():
    page = "`python -m blur_jax.export --shard=0/2 --format=onnx`\npython -m blur_jax.score --shard=0/2"
    page += " --checkpoint=RUN\npython launch.py --dry_run --workdir=RUN --config.steps=1"
    assert unknown_flags(page) == [("blur_jax.export", "shard"), ("launch.py", "dry_run")]


@pytest.mark.parametrize("page", PAGES)
def test_fields_that_are_named_exist(page):
    fields = flattened(default.get_config())
    groups = {field.rsplit(".", 1)[0] for field in fields if "." in field}
    named = set(re.findall(r"(?<!\w)(?:--|`)config\.([a-z_.]+[a-z_])", PAGES[page]))
    assert sorted(named - fields.keys() - groups) == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    for name in re.findall(r"\]\((?!http|#)([^)]+)\)", PAGES[page]):
        assert (ROOT / page).parent.joinpath(name.partition("#")[0]).exists(), name
    today = re.sub(r"`[^`]+`\s+at\s+commit \w+", "", PAGES[page])
    for name in re.findall(rf"(?:`|=)((?:{ROOMS})/[\w/.]+\b/?)", today):
        assert (ROOT / name).exists(), name
    if page == "docs/design.md":
        modules = {path.name for room in ROOMS.split("|") for path in (ROOT / room).rglob("*.py")} | {"launch.py"}
        assert set() < set(re.findall(r"\b\w+\.py\b", PAGES[page])) <= modules
