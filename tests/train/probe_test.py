"""The linear probe's pictures and the head that is fitted to them. Two fits of a small network: 5 s of CPU."""

import numpy as np
import pytest

from blur_jax.data import degradations
from blur_jax.train import probe, start


@pytest.fixture
def probed(config):
    config.probe.update(strength=1.0, content=0.1, changes=0.1, fine_detail=0.1, faces=12)
    return config


def test_faces_are_blurred_by_known_widths_and_changed(probed):
    pairs = start.open_pairs(probed)
    images = probe.read(probed, pairs.labeled, pairs.unlabeled)
    assert len(images.unlabeled) == 12
    blurred, widths, changed = probe.render(images.unlabeled, probed)
    assert (blurred.shape, widths.shape, changed.shape) == ((24, 32, 32, 3), (24,), (36, 32, 32, 3))
    assert blurred.dtype == changed.dtype == np.uint8
    assert len(set(widths.tolist())) == 24  # Every blurred version has its own draw.
    assert (widths >= probed.probe.rms_min - 1e-6).all()
    assert (widths <= probed.probe.rms_max + 1e-6).all()
    again = probe.render(images.unlabeled, probed)
    for part, same in zip((blurred, widths, changed), again):
        np.testing.assert_array_equal(part, same)
    # The first 12 blurred faces are those faces; blur removes variation, and changes are not blur.
    faces = images.unlabeled
    for versions in (blurred[:12], blurred[12:]):
        assert (abs(versions.mean((1, 2, 3)) - faces.mean((1, 2, 3))) < 8).all()
        assert (versions.std((1, 2, 3)) < faces.std((1, 2, 3))).all()
    np.testing.assert_array_less(0, abs(changed[24:].astype(int) - faces).mean((1, 2, 3)))


def test_a_long_list_is_rendered_in_chunks(probed, monkeypatch):
    """Whatever the size of the chunks, every face gets the blur whose width is returned."""
    monkeypatch.setattr(probe, "_CHUNK", 5)
    monkeypatch.setattr(degradations, "apply", lambda draw, images: images * 0 + draw.rms * 5)
    blurred, widths, _ = probe.render(np.zeros((4, 32, 32, 3), np.uint8), probed)
    np.testing.assert_array_equal(blurred[:, 0, 0, 0], np.rint(widths * 5 * 255))


@pytest.mark.parametrize("term", ["content", "changes", "fine_detail"])
def test_each_term_changes_the_head(probed, term):
    pairs = start.open_pairs(probed)
    model, _ = start.build(probed)
    params = start.initial_params(probed, model)
    probed.probe.update(content=0.0, changes=0.0, fine_detail=0.0)
    assert probe.read(probed, pairs.labeled, pairs.unlabeled).unlabeled is None
    plain = probe.fit(probed, model, params, probe.read(probed, pairs.labeled, pairs.unlabeled))
    probed.probe[term] = 1.0
    head = probe.fit(probed, model, params, probe.read(probed, pairs.labeled, pairs.unlabeled))
    assert head["kernel"].shape == plain["kernel"].shape
    assert np.isfinite(head["kernel"]).all()
    assert abs(head["kernel"] - plain["kernel"]).max() > 1e-3 * abs(plain["kernel"]).max()


def test_without_a_strength_nothing_is_read(config):
    pairs = start.open_pairs(config)
    assert probe.read(config, pairs.labeled, pairs.unlabeled) is None
