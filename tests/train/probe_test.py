"""The linear probe's pictures and the head that is fitted to them. Two fits of a small network: 5 s of CPU."""

import numpy as np
import pytest

from blur_jax.data import augmentation, preprocessing
from blur_jax.train import probe, start


@pytest.fixture
def probed(config):
    config.probe.update(strength=1.0, content=0.1, changes=0.1, faces=12, side_min=8, side_max=16)
    return config


def test_faces_are_reduced_to_known_sides(probed):
    pairs = start.open_pairs(probed)
    faces = probe.read(probed, pairs.labeled, pairs.unlabeled).unlabeled
    assert len(faces) == 12
    reduced, sides = probe.reduce(faces, probed)
    assert (reduced.shape, reduced.dtype, sides.shape) == ((24, 32, 32, 3), np.uint8, (24,))
    assert (sides.min() >= 8, sides.max() <= 16, len(set(sides.tolist())) > 4) == (True, True, True)
    for part, same in zip((reduced, sides), probe.reduce(faces, probed)):
        np.testing.assert_array_equal(part, same)
    for index in range(24):
        expected = preprocessing.at_resolution(faces[index % 12], int(sides[index]))
        np.testing.assert_array_equal(reduced[index], expected)


def test_changes_are_not_blur_and_deterministic(probed):
    pairs = start.open_pairs(probed)
    faces = probe.read(probed, pairs.labeled, pairs.unlabeled).unlabeled
    changed = probe.augment(faces, probed)
    assert (changed.shape, changed.dtype) == (faces.shape, np.uint8)
    assert (abs(changed.astype(int) - faces).mean((1, 2, 3)) > 0).all()
    np.testing.assert_array_equal(changed, probe.augment(faces, probed))


def test_a_long_list_is_augmented_in_chunks(probed, monkeypatch):
    """Whatever the size of the chunks, every face comes back in its place."""
    monkeypatch.setattr(probe, "_CHUNK", 5)
    monkeypatch.setattr(augmentation, "apply", lambda draw, image: image)
    faces = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(probe.augment(faces, probed), faces)


@pytest.mark.parametrize("term", ["content", "changes", "prior"])
def test_each_term_changes_the_head(probed, term):
    pairs = start.open_pairs(probed)
    model, _ = start.build(probed)
    params = start.initial_params(probed, model)
    probed.probe.update(content=0.0, changes=0.0, prior=0.0)
    assert probe.read(probed, pairs.labeled, pairs.unlabeled).unlabeled is None
    plain = probe.fit(probed, model, params, probe.read(probed, pairs.labeled, pairs.unlabeled))
    probed.probe[term] = 1.0
    head = probe.fit(probed, model, params, probe.read(probed, pairs.labeled, pairs.unlabeled))
    assert head["kernel"].shape == plain["kernel"].shape
    assert np.isfinite(head["kernel"]).all()
    assert abs(head["kernel"] - plain["kernel"]).max() > 1e-3 * abs(plain["kernel"]).max()


def test_the_prior_is_the_head_in_the_parameters(probed):
    """A heavy prior gives its order; its negative gives the opposite."""
    pairs = start.open_pairs(probed)
    model, _ = start.build(probed)
    params = start.initial_params(probed, model)
    probed.probe.update(strength=1e-9, content=0.0, changes=0.0, prior=1e4)
    images = probe.read(probed, pairs.labeled, pairs.unlabeled)
    head, opposite = (
        probe.fit(
            probed, model, params | {"head": {**params["head"], "kernel": sign * params["head"]["kernel"]}}, images
        )
        for sign in (1, -1)
    )
    assert np.corrcoef(head["kernel"][:, 0], opposite["kernel"][:, 0])[0, 1] < -0.99


def test_without_a_strength_nothing_is_read(config):
    pairs = start.open_pairs(config)
    assert probe.read(config, pairs.labeled, pairs.unlabeled) is None
