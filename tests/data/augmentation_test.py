"""Each change does what its strength says, and none of them changes the order of blur."""

import functools

import jax
import numpy as np

from blur_jax.data import augmentation
from tests.helpers.platforms import as_accelerator, lowered

PLATFORMS = ("cpu", "tpu", "cuda")
OFF = {"flip": False, "exposure": 0.0, "contrast": 0.0, "color": 0.0, "noise": 0.0}
ALL = {"flip": True, "exposure": 0.5, "contrast": 0.2, "color": 0.1, "noise": 0.05}


def texture(seed=0, size=24, low=0.3, high=0.6):
    values = np.random.default_rng(seed).random((size, size, 3), np.float32)
    return low + (high - low) * values


def augment(key, image, **options):
    return augmentation.apply(augmentation.sample(key, image_size=image.shape[0], **OFF | options), image)


def batch(keys, images, **options):
    return np.asarray(jax.jit(jax.vmap(functools.partial(augment, **options)))(keys, images))


def many(image, seed=0, count=32, **options):
    """`image` under `count` keys."""
    keys = jax.random.split(jax.random.key(seed), count)
    return batch(keys, np.broadcast_to(image, (count, *image.shape)), **options)


def test_no_strength_is_the_identity():
    image = texture(low=0, high=1)
    np.testing.assert_array_equal(many(image, count=2), [image, image])


def test_flip_is_exact_and_comes_half_of_the_time():
    image = texture()
    results = many(image, count=64, flip=True)
    flipped = [np.array_equal(result, image[:, ::-1]) for result in results]
    assert all(is_flipped or np.array_equal(result, image) for is_flipped, result in zip(flipped, results))
    assert 20 <= sum(flipped) <= 44  # 32 +- 3 standard deviations


def test_exposure_is_one_gain_within_its_stops():
    image = texture()
    gains = many(image, exposure=1.0) / image
    np.testing.assert_allclose(gains, np.broadcast_to(gains[:, :1, :1, :1], gains.shape), rtol=1e-5)
    # One stop is a factor of two in light: 2^(1 / 2.2) = 1.3704 in encoded values.
    assert 1 / 1.3705 < gains.min() < 0.85 and 1.2 < gains.max() < 1.3705


def test_contrast_scales_differences_from_the_mean():
    image = texture()
    results = many(image, contrast=0.3)
    np.testing.assert_allclose(results.mean((1, 2, 3)), image.mean(), rtol=1e-5)
    scales = results.std((1, 2, 3)) / image.std()
    assert 0.7 < scales.min() < 0.85 and 1.15 < scales.max() < 1.3
    expected = image.mean() + scales[:, None, None, None] * (image - image.mean())[None]
    np.testing.assert_allclose(results, expected, atol=1e-5)


def test_color_is_a_gain_for_each_channel():
    image = texture()
    gains = many(image, color=0.2) / image
    np.testing.assert_allclose(gains, np.broadcast_to(gains[:, :1, :1], gains.shape), rtol=1e-5)
    assert 0.8 < gains.min() < 0.9 and 1.1 < gains.max() < 1.2
    assert np.ptp(gains[:, 0, 0], axis=-1).mean() > 0.05  # the channels do not go together


def test_noise_is_white_and_of_a_deviation_of_its_own_in_each_image():
    image = np.full((32, 32, 3), 0.5, np.float32)
    fields = many(image, noise=0.1) - image
    deviations = fields.std((1, 2, 3))
    assert deviations.min() < 0.015 and 0.085 < deviations.max() < 0.105
    fields = fields[deviations > 0.03]
    fields = fields / fields.std((1, 2, 3), keepdims=True)
    # Independent from image to image, pixel to pixel and channel to channel: 3 standard deviations of such means.
    bound = 3 / np.sqrt(fields[0].size)
    assert np.abs((fields[1:] * fields[:-1]).mean((1, 2, 3))).max() < 1.2 * bound
    assert np.abs((fields[:, 1:] * fields[:, :-1]).mean()) < bound
    assert np.abs((fields[..., 1:] * fields[..., :-1]).mean()) < bound


def test_noise_is_normal():
    image = np.full((64, 64, 3), 0.5, np.float32)
    fields = many(image, noise=0.05) - image
    deviations = fields.std((1, 2, 3), keepdims=True)
    fields = (fields / deviations)[deviations[:, 0, 0, 0] > 0.01]
    shares = [0.001, 0.02, 0.16, 0.5, 0.84, 0.98, 0.999]
    expected = [-2.89, -2.05, -0.994, 0.0, 0.994, 2.05, 2.89]  # The normal distribution's, but for the outermost.
    np.testing.assert_allclose(np.quantile(fields, shares), expected, atol=0.03)
    assert 200 < len(np.unique(np.round(fields[0], 3))) <= 256


def test_an_accelerator_computes_the_noise_that_a_cpu_looks_up(monkeypatch):
    words = np.arange(256, dtype=np.uint32).reshape(16, 16) * np.uint32(0x010101)  # Each level in each channel.
    draw = augmentation.Augmentation(False, np.ones(3), np.zeros(()), np.float32(0.05), words)
    image = np.full((16, 16, 3), 0.5, np.float32)
    looked_up = jax.jit(augmentation.add_noise)(draw, image)
    assert len(np.unique(looked_up)) == 256
    gathers = {name: "gather" in lowered(augmentation.add_noise, draw, image, platform=name) for name in PLATFORMS}
    assert gathers == {"cpu": True, "tpu": False, "cuda": False}
    as_accelerator(monkeypatch)
    np.testing.assert_allclose(jax.jit(lambda *a: augmentation.add_noise(*a))(draw, image), looked_up, atol=2e-7)


def test_output_stays_in_range():
    results = many(texture(low=0, high=1), exposure=2.0, contrast=0.9, color=0.5)
    assert results.min() == 0 and results.max() == 1


def test_key_and_image_alone_fix_the_result():
    keys = jax.random.split(jax.random.key(1), 5)
    images = np.stack([texture(seed) for seed in range(5)])
    together = batch(keys, images, **ALL)
    np.testing.assert_array_equal(together, batch(keys, images, **ALL))
    alone = jax.jit(functools.partial(augment, **ALL))
    for i in range(5):
        np.testing.assert_allclose(together[i], alone(keys[i], images[i]), atol=1e-6)
    assert len({result.tobytes() for result in many(images[0], **ALL)}) == 32


def test_a_draw_may_be_applied_in_two_parts():
    image = texture(low=0.45, high=0.55)  # So nothing is clipped.
    options, apply = ALL | {"exposure": 0.1, "noise": 0.02}, jax.jit(augmentation.apply)
    draw = jax.jit(functools.partial(augmentation.sample, image_size=24, **options))(jax.random.key(3))
    rest = augmentation.without_noise(draw)
    exposed = apply(rest, image)
    np.testing.assert_allclose(augmentation.add_noise(draw, exposed), apply(draw, image), atol=1e-6)
    np.testing.assert_array_equal(augmentation.add_noise(rest, exposed), exposed)
    assert np.abs(augmentation.add_noise(draw, image) - image).max() > 0.005


def box_blur(image):
    for axis in (0, 1):
        image = (np.roll(image, 1, axis) + 2 * image + np.roll(image, -1, axis)) / 4
    return image


def sharpness(images):
    """Gradient energy over variance: the fine detail left, whatever the exposure and contrast."""
    gradient = sum((np.diff(images, axis=axis) ** 2).mean((1, 2, 3)) for axis in (1, 2))
    return gradient / images.var((1, 2), keepdims=True).mean((1, 2, 3))


def test_order_of_blur_survives_independent_draws():
    blobs = box_blur(box_blur(texture(size=48, low=0.0, high=1.0)))
    low, high = blobs.min(), blobs.max()
    sharp, blurred = (0.15 + 0.6 * (image - low) / (high - low) for image in (blobs, box_blur(blobs)))
    # Without noise, which this measure would take for detail: what a scorer has to learn not to.
    of_sharp, of_blurred = (
        sharpness(many(image, seed, count=64, **ALL | {"noise": 0.0})) for seed, image in enumerate((sharp, blurred), 1)
    )
    assert of_blurred.max() < of_sharp.min()
