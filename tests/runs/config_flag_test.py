"""What is wrong with a flag or a config file, in one sentence."""

import pytest
from absl import flags

from blur_jax.runs import config_flag
from blur_jax.runs.config import check_ranges
from tests.helpers.configs import flattened
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:the load_module")  # Which ml_collections uses.
DEFAULT = str(ROOT / "configs" / "default.py")


def parse(*arguments):
    """Parses arguments as launch.py does; returns the config."""
    values, argv = flags.FlagValues(), ["launch.py", *arguments]
    config_flag.define_config(DEFAULT, flag_values=values, sys_argv=argv)
    values(argv)
    values.config.lock()
    return values.config


def sentence(*arguments):
    """Returns the sentence about what parsing raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        parse(*arguments)
    return config_flag.flag_error(caught.value)


@pytest.mark.parametrize("field", ["optimizer.clip_norm", "data.leave_out", "data.labeled_count", "data.dir"])
def test_none_unsets_a_field(field):
    config = parse(f"--config.{field}=None")
    check_ranges(config)
    assert flattened(config)[field] is None


@pytest.mark.parametrize("field", ["steps", "data.name", "model.dtype", "optimizer.learning_rate"])
def test_none_is_refused_for_a_field_that_a_run_needs(field):
    with pytest.raises(ValueError, match=rf"config\.{field}.* must be"):
        check_ranges(parse(f"--config.{field}=None"))


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--config.step=1", "the config has no field step; did you mean steps?"),
        ("--config.model.backbon=x", "the config has no field backbon; did you mean backbone?"),
        ("--config.modl.backbone=x", "the config has no field modl; did you mean model?"),
        ("--config.zzz=1", "the config has no field zzz"),
        ("--config=nowhere.py", "the config file cannot be read: No such file or directory: 'nowhere.py'"),
        ("--config.steps=many", "flag --config.steps=many: invalid literal for int() with base 10: 'many'"),
        ("--steps=1", "Unknown command line flag 'steps'; set config fields with --config.<field>=<value>"),
    ],
)
def test_what_a_user_mistypes(argument, said):
    assert sentence(argument) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return nam", "{file}, line 2: NameError: name 'nam' is not defined"),
        ("return int('x')", "{file}, line 2: ValueError: invalid literal for int() with base 10: 'x'"),
        ("return (", "'(' was never closed (mine.py, line 2)"),
    ],
)
def test_a_mistake_in_a_config_file_has_its_line(tmp_path, body, said):
    file = tmp_path / "mine.py"
    file.write_text(f"def get_config():\n    {body}\n")
    assert sentence(f"--config={file}") == said.format(file=file)
