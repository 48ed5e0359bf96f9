"""A function of images over all devices: every image once, in order, whatever the batches."""

import types

import numpy as np
import pytest

from blur_jax.runs import inference


def images(count):
    """uint8 [count, 2, 2, 3], image i of value i."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def scaled_mean(params, batch):
    return params * batch.mean((1, 2, 3))


@pytest.mark.parametrize("batch_size", [1, 3, 4, 256])
def test_each_image_has_its_own_result_in_order(batch_size):
    found = inference.make_map(scaled_mean)(np.float32(255), images(11), batch_size=batch_size)
    np.testing.assert_allclose(found, np.arange(11), rtol=1e-6)


def test_results_may_have_any_shape():
    found = inference.make_map(lambda _, batch: batch[:, :, 0] * 255)(None, images(5), batch_size=4)
    assert found.shape == (5, 2, 3)
    np.testing.assert_allclose(found[:, 1, 2], np.arange(5), rtol=1e-6)


@pytest.mark.parametrize(
    ("count", "batch_size", "expected"),
    [
        (11, 4, {4}),  # The last three are filled up.
        (3, 256, {8}),  # On a CPU batches are small,
        (1, 256, {8}),
        (300, 256, {8}),  # whatever was asked for,
        (9, 7, {7}),  # unless that was less.
    ],
)
def test_few_batch_sizes_are_compiled(count, batch_size, expected):
    traced = set()

    def function(_, batch):
        traced.add(len(batch))
        return batch.mean((1, 2, 3))

    inference.make_map(function)(None, images(count), batch_size=batch_size)
    assert traced == expected


@pytest.mark.parametrize(
    ("count", "batch_size", "devices", "expected"),
    [
        (100, 64, 1, [(0, 64), (64, 64)]),  # Half full,
        (68, 64, 1, [(0, 64), (64, 8)]),  # but a few fill a small batch.
        (5, 64, 4, [(0, 32)]),
        (5, 3, 4, [(0, 4), (4, 4)]),  # A multiple of the devices.
    ],
)
def test_an_accelerator_has_two_batch_sizes(monkeypatch, count, batch_size, devices, expected):
    monkeypatch.setattr(inference.jax, "device_count", lambda: devices)
    monkeypatch.setattr(inference.jax, "local_devices", lambda: [types.SimpleNamespace(platform="gpu")])
    assert inference.plan_batches(count, batch_size) == expected
