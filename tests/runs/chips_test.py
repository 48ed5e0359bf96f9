"""Names of chips that are not here."""

import importlib.util

import pytest

from blur_jax.runs import chips, topology


@pytest.mark.parametrize(
    ("text", "expected", "count"),
    [
        ("v5e:4x8", "v5e:4x8", 32),
        ("v5e:4x8:2", "v5e:4x8:2", 64),  # Two slices.
        ("v5p:4x4x4", "v5p:4x4x4", 64),
        ("cuda:h200:8", "cuda:h200:8", 8),
        ("v5litepod-16", "v5e:4x4", 16),  # Accelerator types of Cloud TPU.
        ("v6e-256", "v6e:16x16", 256),
        ("v5p-8", "v5p:2x2x1", 4),  # Counted in cores.
        ("v4-128", "v4:4x4x4", 64),
    ],
)
def test_names_that_people_use(text, expected, count):
    assert (str(chips.parse(text)), chips.parse(text).chips) == (expected, count)
    assert chips.parse(expected) == chips.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v5litepod-17", " does not exist; choose one of: v5litepod-1, v5litepod-4, .*v5litepod-256$"),
        ("v5p:4x4", "a slice of v5p has 3 dimensions, as in v5p:4x4x4"),
        ("v5e:4x4x4", "a slice of v5e has 2 dimensions, as in v5e:4x8"),
        ("v9:2x2", "known chips: v4, v5e, v5p, v6e, cuda:h200"),
        ("v9-8", "known chips"),
        ("v5e:0x4", "pass CHIP:SHAPE"),
        ("h200:8", "cuda:h200:8"),
        ("cuda:v5e:8", "known chips"),
        ("cuda:h200:8:2", "known chips"),
        ("", "known chips"),
    ],
)
def test_names_that_mean_nothing_come_with_some_that_do(text, message):
    with pytest.raises(ValueError, match=f"^--topology={text}.*{message}"):
        chips.parse(text)


@pytest.mark.parametrize(("name", "package"), [("v5e:4x8", "libtpu"), ("cuda:h200:8", "jax_cuda13_plugin")])
def test_without_the_compiler_the_message_says_how_to_install_it(monkeypatch, name, package):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=rf'{name} needs .*{package}.*pip install -e "\.\[topology\]"'):
        topology.open_topology(chips.parse(name))
