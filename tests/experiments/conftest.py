"""Tiny data for experiments; and runs of a grid, forked from a process that has imported JAX."""

import types

import numpy as np
import pytest
from PIL import Image, ImageFilter

from experiments import grid
from tests.helpers import forked

LEVELS = 3


def face(texture, level, size=64):
    """Grainy patches, one for each number `texture`, at one of three levels of blur."""
    rng = np.random.default_rng(texture)
    patches = rng.integers(40, 200, (size // 8, size // 8, 3), np.uint8)
    grain = np.kron(patches, np.ones((8, 8, 1), np.uint8)) + rng.integers(0, 50, (size, size, 1), np.uint8)
    return Image.fromarray(grain).filter(ImageFilter.GaussianBlur((0, 1, 2.5)[level]))


@pytest.fixture(autouse=True)
def forked_runs(monkeypatch):
    monkeypatch.setattr(grid, "multiprocessing", types.SimpleNamespace(get_context=lambda _: forked.CONTEXT))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A tiny release: 30 textures to train on and 3 tests of 5 others, each at every level; small faces are sharper."""
    root = tmp_path_factory.mktemp("release")
    (root / "LFW").mkdir()
    crops, train, tests = [], [], {"test1": [], "test2": [], "test3": []}
    for texture in range(45):
        split = None if texture < 30 else list(tests)[(texture - 30) // 5]
        for level in range(LEVELS) if split else [texture % LEVELS]:
            file = f"P{texture}x{level}_0001.png"
            face(texture, level).save(root / "LFW" / file)
            side = 50 + 2 * level  # all of one bin of size
            crops.append(f"LFW>>{file}>>2 2 {side} {side}>>{file}")
            if split:
                tests[split].append(f"LFW/{file} {level}")
            else:
                train.append((level, f"LFW/{file}"))
    pairs = [f"{a},{b}" for level, a in train for other, b in train if level < other]
    for name, lines in {
        "LFW_all_imgs_list": crops,
        "SSRanking_OBA_train_supervised_10k": pairs,
        "SSRanking_OBA_train_unsupervised": pairs[:2],
        **{f"SSRanking_OBA_test_{split}": lines for split, lines in tests.items()},
    }.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """A folder of four other pictures, two of them blurred."""
    folder = tmp_path_factory.mktemp("far")
    for texture in range(4):
        face(100 + texture, 2 * (texture // 2)).save(folder / f"{texture}.png")
    (folder / "ranked.csv").write_text("name,rank\n0.png,0\n1.png,0\n2.png,1\n3.png,1\n")
    return folder


@pytest.fixture
def judged(tmp_path):
    """A table of two judges who agree on a pair of test1 and on a pair of `far`."""
    table = tmp_path / "judged.csv"
    table.write_text(
        "split,left,right,ann,ann_sure,ben,ben_sure\n"
        "test1,LFW/P30x0_0001.png,LFW/P31x2_0001.png,1,1,1,1\n"
        "celeba,0.png,2.png,1,1,1,1\n"
    )
    return table
