import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from blur_jax.data import likeness
from tests.helpers.paths import SHARED
from tests.helpers.photos import picture, resaved

CELEBA = SHARED / "celeba_blur"


def hashed(*bits):
    """A hash in which these bits are set."""
    flags = np.zeros(256, np.uint8)
    flags[list(bits)] = 1
    return np.packbits(flags).tobytes().hex()


def alike(*hashes, others=None):
    return list(likeness.matches(hashes, others))


def test_bits_that_differ_are_counted():
    assert alike(hashed(), hashed(*range(36)), hashed(*range(37))) == [(0, 1, 36), (1, 2, 1)]
    others = [hashed(), hashed(*range(100, 200)), hashed(0, 199, 255)]
    assert alike(hashed(0, 200), others=others) == [(0, 0, 2), (0, 2, 3)]


def test_a_mirrored_picture_differs_in_every_other_frequency():
    odd = [row * 16 + column for row in range(16) for column in range(1, 16, 2)]
    assert alike(hashed(), others=[hashed(*odd)]) == [(0, 0, 0)]
    assert alike(hashed(), hashed(*odd)) == []


def test_pictures_without_content_are_compared_with_nothing():
    for flat in (Image.new("RGB", (50, 40)), Image.new("RGB", (50, 40), (200, 190, 180))):
        assert likeness.look(flat) == ""
    assert alike("", "", hashed()) == [] and alike("", others=[""]) == []
    assert likeness.groups(["a", "b"], ["", ""]) == {"a": "a", "b": "b"}


def test_groups_are_those_of_a_chain_of_likeness():
    hashes = [hashed(), hashed(*range(100, 200)), hashed(*range(30)), hashed(*range(60))]
    assert likeness.groups(list("abcd"), hashes) == {"a": "a", "b": "b", "c": "a", "d": "a"}
    assert likeness.groups([], []) == {}


def test_many_hashes_are_compared_block_by_block(monkeypatch):
    hashes = [hashed(*range(i % 5 * 50, i % 5 * 50 + 50)) for i in range(23)]
    whole, split = alike(*hashes), alike(hashes[0], others=hashes)
    assert len(whole) == 3 * 10 + 2 * 6 and len(split) == 5  # Of 23, three residues occur 5 times, two 4 times.
    monkeypatch.setattr(likeness, "_BLOCK", 4)
    assert alike(*hashes) == whole and alike(hashes[0], others=hashes) == split


def test_the_hash_of_a_large_photograph_is_that_of_a_small_copy():
    large = picture(0, size=(2400, 2000))
    assert alike(likeness.look(large), likeness.look(large.resize((240, 200)))) != []


CHANGES = {
    "JPEG of quality 20": lambda image: resaved(image, 20),
    "a quarter of the size": lambda image: image.resize((image.width // 4, image.height // 4)),
    "30% more light": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "Gaussian blur of 3 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
}


@pytest.mark.skipif(not CELEBA.is_dir(), reason=f"not in CI, as we may not publish them: the photographs of {CELEBA}")
@pytest.mark.parametrize("change", CHANGES)
def test_copies_differ_in_few_bits(change):
    """The figures of docs/data.md; that different pictures differ in more is a test of folder_findings_test.py."""
    for path in sorted(CELEBA.glob("images/*.jpg"))[::60]:
        image = Image.open(path).convert("RGB")
        ((_, _, bits),) = alike(likeness.look(image), likeness.look(CHANGES[change](image)))
        assert bits <= 28
