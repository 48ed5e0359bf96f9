"""Pictures through threads and devices: in order, bounded, and one bad picture harms no other."""

import threading
import time

import numpy as np
import pytest

from blur_jax.score import pipeline
from blur_jax.score.pipeline import Scored


def prepare(picture, box):
    """Pictures are numbers here; the one image is 2 x 2 of that value. Below 0 they are bad."""
    if picture == -1:
        raise FileNotFoundError("gone")
    if picture == -2:
        raise ValueError("cut short")
    if picture == -3:
        raise KeyError("a bug")
    return [image_of(picture + (box or 0))]


def image_of(value):
    return pipeline.Prepared(np.full((2, 2, 3), value, np.uint8))


def forward(images):
    return images[:, 0, 0, 0].astype(np.float32) / 100


def score(pictures, *, prepare=prepare, forward=forward, **options):
    keyed = ((f"key {picture}", picture, None) for picture in pictures)
    scores = pipeline.score_each(keyed, prepare, forward, **{"batch_size": 4, "threads": 2} | options)
    return ((key, *results) for key, results in scores)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("count", [0, 4, 25])
def test_every_picture_once_in_order(count, batch_size):
    keys, blur = [], []
    for key, scored in score(range(count), batch_size=batch_size):
        keys.append(key)
        blur.append(scored.blur)
    assert keys == [f"key {index}" for index in range(count)]
    np.testing.assert_allclose(blur, np.arange(count) / 100, atol=1e-6)


def test_a_bad_picture_harms_no_other():
    assert [scored for _, scored in score([10, -1, 20, -2, -3, 30])] == [
        Scored(pytest.approx(0.1), None),
        Scored(None, "the file does not exist"),
        Scored(pytest.approx(0.2), None),
        Scored(None, "cut short"),
        Scored(None, "unexpected error: KeyError: 'a bug'"),
        Scored(pytest.approx(0.3), None),
    ]


def test_bad_pictures_keep_their_places_in_a_batch():
    batches = []

    def remember(images):
        batches.append(images[:, 0, 0, 0].tolist())
        return forward(images)

    list(score([10, -1, 20, 30, 40, -2, -2, -2, -2, -2, -2, -2], forward=remember))
    assert batches == [[10, 0, 20, 30], [40, 0, 0, 0]]  # Where all are bad, the device is not needed.


def test_boxes_are_passed_on():
    scores = pipeline.score_each([("a", 10, 5), ("b", 10, None)], prepare, forward, batch_size=4, threads=2)
    np.testing.assert_allclose([scored.blur for _, [scored] in scores], [0.15, 0.1], atol=1e-6)


def test_a_picture_with_several_images_has_several_results():
    """Two batches of three pictures; the picture n has n images, of n, n + 1, ... percent, and 0 is bad."""

    def several(picture, box):
        if picture == 0:
            raise ValueError("nothing in it")
        return [image_of(picture + index) for index in range(picture)]

    batches = []
    scores = pipeline.score_each(
        [(f"key {n}", n, None) for n in (2, 0, 3, 1)],
        several,
        lambda images: batches.append(len(images)) or forward(images),
        batch_size=3,
    )
    found = {key: [scored.blur or scored.error for scored in results] for key, results in scores}
    expected = {"key 2": [0.02, 0.03], "key 0": ["nothing in it"], "key 3": [0.03, 0.04, 0.05], "key 1": [0.01]}
    assert found == {key: [v if isinstance(v, str) else pytest.approx(v) for v in expected[key]] for key in expected}
    assert list(found) == list(expected)
    assert batches == [2 + 1 + 3, 1]


def test_it_reads_only_some_batches_ahead():
    taken = [0]

    def endless():
        while True:
            taken[0] += 1
            yield 7

    scores = score(endless(), batch_size=4, threads=2)
    assert taken[0] == 0
    next(scores)
    assert taken[0] <= 3 * 4
    for _ in range(100):
        next(scores)
    scores.close()
    assert taken[0] <= 101 + 4 * 4


def test_few_whole_pictures_are_in_memory():
    """A picture counts from when it is taken until it has been cut down."""
    alive, most, lock = [0], [0], threading.Lock()

    def count(change):
        with lock:
            alive[0] += change
            most[0] = max(most[0], alive[0])

    def slow(picture, box):
        time.sleep(0.001)
        count(-1)
        return prepare(picture, box)

    def pictures():
        for _ in range(200):
            count(1)
            yield 7

    list(score(pictures(), prepare=slow, batch_size=100, threads=3))
    assert most[0] <= 2 * 3 + 1


def test_pictures_are_prepared_while_the_device_computes():
    """The device waits until a picture of the next batch has been prepared, which must come to pass."""
    second = threading.Event()

    def prepare_and_tell(picture, box):
        if picture == 4:
            second.set()
        return prepare(picture, box)

    def wait(images):
        assert second.wait(20)
        return forward(images)

    assert len(list(score(range(8), prepare=prepare_and_tell, forward=wait))) == 8


def test_an_error_of_the_device_or_of_the_source_is_raised():
    def broken(_):
        raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="the device is lost"):
        list(score(range(9), forward=broken))

    def source():
        yield 1
        raise OSError("the list is lost")

    with pytest.raises(OSError, match="the list is lost"):
        list(score(source()))


def test_closing_ends_the_threads():
    before = threading.active_count()
    scores = score(range(1000))
    next(scores)
    scores.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"threads": 0}])
def test_sizes_below_one_are_refused_at_once(options):
    with pytest.raises(ValueError, match="must be 1 or more"):
        score([1], **options)
