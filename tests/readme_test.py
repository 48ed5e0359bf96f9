"""The README is tested: its commands, its fields, its links."""

import pathlib
import re
import subprocess

from conftest import flattened

from configs import default

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.M | re.S).group(1)


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_quick_start_has_exactly_two_commands_of_one_line():
    commands = blocks(section("Quick start"), "bash")
    assert len(commands) == 2
    assert all(len(command.strip().splitlines()) == 1 for command in commands)
    assert "launch.py" in commands[0]
    assert "pytest" in commands[1]


def test_ci_runs_the_second_of_them():
    script = (ROOT / ".ci" / "run").read_text().replace('bash -c "$command"', "")
    printed = subprocess.run(
        ["bash", "-c", script.replace('"$(dirname "$0")/.."', f'"{ROOT}"')], capture_output=True, text=True, check=True
    ).stdout
    assert printed == f"+ {blocks(section('Quick start'), 'bash')[1].strip()}\n"


def test_python_examples_are_valid_and_import_what_exists():
    examples = blocks(README, "python")
    assert examples
    for example in examples:
        compile(example, "README.md", "exec")
        for line in example.splitlines():
            if re.match(r"(from|import) (blur_jax|tfds_builders|configs)", line):
                exec(line, {})


def test_fields_and_flags_that_the_readme_names_exist():
    fields = flattened(default.get_config())
    named = set(re.findall(r"--config\.([a-z_.]+[a-z_])", README)) | set(
        re.findall(r"`config\.([a-z_.]+[a-z_])`", README)
    )
    assert named
    groups = {field.rsplit(".", 1)[0] for field in fields if "." in field}
    assert named <= fields.keys() | groups
    flags = set(re.findall(r"(?<![\w-])--([a-z][a-z_]+)(?==|\b)", README)) - {"config"}
    commands = [ROOT / "launch.py", ROOT / "tfds_builders" / "prepare.py", *(ROOT / "benchmarks").glob("*.py")]
    code = "".join(path.read_text() for path in commands)
    others = {"mode", "upgrade", "verbosity", "help"}
    assert {flag for flag in flags if f'"{flag}"' not in code and f'"--{flag}"' not in code} <= others


def test_the_table_of_fields_is_the_config():
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| `(.*?)` \|", section("Configuration"), re.M))
    expected = {name: repr(value) for name, value in flattened(default.get_config()).items()}
    assert rows == expected


def test_files_that_the_readme_names_exist():
    for name in re.findall(r"\]\((?!http|#)([^)]+)\)", README):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:configs|benchmarks|notebooks|tests|blur_jax|tfds_builders)/[\w/.]+)`", README):
        assert (ROOT / name).exists(), name
