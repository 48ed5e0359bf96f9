"""Graphs in every format: any batch size, the same numbers as the network, metadata that come back, a valid card."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import yaml

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.export import card, formats, metadata, onnx_backend, writing
from blur_jax.export.graph import Graph
from blur_jax.metrics.calibration import Calibration, to_columns
from blur_jax.models import backbones
from blur_jax.models import network as models
from blur_jax.runs import checkpoints, inference
from blur_jax.runs.threshold import Threshold

SIZE = 32
CALIBRATION = Calibration("100 faces of a test", tuple(np.linspace(0.3, 0.7, 101).tolist()), 1.5, (1.0, 2.0), 60)
# Depthwise convolutions of both kernel sizes and strides, in a third of the blocks.
LITE0 = {"backbone": "efficientnet_lite0", "blocks": 4, "pool_center": True, "frozen_blocks": 0, "dtype": "float32"}


@pytest.fixture(scope="module")
def lite0():
    """An EfficientNet-Lite0 with random parameters, and a reference by XLA: from images to float32 [n]."""
    network = models.from_config(ml_collections.ConfigDict(LITE0))
    variables = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
    # A head a hundred times the usual scale spreads the scores of random images.
    params = variables["params"] | {"head": jax.tree.map(lambda x: 100 * x, variables["params"]["head"])}
    score = inference.make_score(network)
    return Graph(network, jax.tree.map(np.asarray, params), SIZE, CALIBRATION), lambda images: score(params, images)


@pytest.fixture(scope="module")
def described():
    config = ml_collections.ConfigDict({"model": LITE0 | {"pretrained": True}, "data": {"name": "some_blur"}})
    saved = checkpoints.Checkpoint("RUN/checkpoints/4", 4, config, Preprocessing(SIZE, 1.25), 0.9, 60, CALIBRATION, {})
    threshold = Threshold(0.62, "10% of 50 pictures are to go", "0123456789abcdef", 4)
    return metadata.describe(
        saved,
        outputs=["blur", "sharpness", "blur_percentile", "p_blurrier_than_anchor"],
        fingerprint="0123456789abcdef",
        threshold=threshold,
        license_id="other",
    )


@pytest.fixture(scope="module", params=formats.FORMATS)
def exported(request, tmp_path_factory, lite0, described):
    """(format, path of a file in it, what opening it gives)."""
    path = tmp_path_factory.mktemp("exports") / f"scorer{formats.FORMATS[request.param].ending}"
    writing.write(lite0[0], described, lite0[1], output=path, format=request.param)
    return request.param, path, formats.FORMATS[request.param].open(path)


def images_of(count):
    return np.resize(writing.sample_images(SIZE), (count, SIZE, SIZE, 3))


def test_any_batch_size_gives_what_the_network_gives_and_the_columns_of_scoring(exported, lite0):
    name, _, run = exported
    wanted = lite0[1](images_of(6))
    assert np.ptp(wanted) > 0.03  # or nothing would be shown
    for count in (1, 7, 70) if name != "safetensors" else (6,):  # It holds no graph.
        columns = run(images_of(count))
        np.testing.assert_allclose(columns["blur"], np.resize(wanted, count), atol=1e-5)
        scoring = to_columns(columns["blur"], CALIBRATION)
        assert set(columns) == set(scoring)
        for column, values in columns.items():
            assert (values.shape, values.dtype) == ((count,), np.float32)
            np.testing.assert_allclose(values, scoring[column], rtol=1e-5, err_msg=column)


def test_an_onnx_file_asks_for_no_newer_runtime_than_its_operators_do(lite0):
    import onnx

    model = onnx.load_from_string(formats.build_onnx(lite0[0], {}))
    assert [(used.domain, used.version) for used in model.opset_import] == [("", 18)]
    assert model.ir_version == 8  # That of ONNX 1.13, the first with opset 18.
    onnx.checker.check_model(model, full_check=True)
    # IR 10 added these.
    assert not any(len(part.metadata_props) for part in [model.graph, *model.graph.node, *model.graph.initializer])


def test_metadata_and_parameters_come_back(exported, described, lite0):
    (name, path, _), wanted = exported, json.loads(json.dumps(described))
    if name == "stablehlo":
        found = json.loads(path.with_name("scorer.stablehlo.json").read_text())
        assert found == {f"blur_jax.{key}": value for key, value in wanted.items()}
    else:
        assert metadata.decode(formats.FORMATS[name].read_metadata(path)) == wanted
    if name == "safetensors":
        graph, _ = formats.load_safetensors(path)
        jax.tree.map(np.testing.assert_array_equal, graph.params, lite0[0].params)
        assert graph.network == lite0[0].network
        assert (graph.image_size, graph.calibration) == (SIZE, CALIBRATION)


def test_metadata_say_what_a_program_needs(described):
    assert described["input"]["shape"] == ["n", 32, 32, 3]
    blur = {"dtype": "float32", "shape": ["n"], "range": [0, 1], "larger_is": "blurrier"}
    assert described["outputs"]["blur"] == blur
    assert described["outputs"]["sharpness"]["range"] == [0, 100]
    protocol = described["preprocessing"]
    assert (protocol["image_size"], protocol["context"], protocol["filter"]) == (32, 1.25, "bicubic")
    assert "a square whose side is 1.25 times the longer side of the face box" in protocol["description"]
    assert described["calibration"]["reference"] == "100 faces of a test"
    assert described["anchor"] == pytest.approx(0.5)
    assert (described["threshold"]["keep_below"], described["threshold"]["source"][:3]) == (0.62, "10%")
    assert described["checkpoint"] == {"fingerprint": "0123456789abcdef", "step": 4, "validation_accuracy": 0.9}
    assert "ImageNet weights" in described["license"]["note"]


def test_bfloat16_runs_are_exported_in_float32(lite0):
    graph = lite0[0]
    low = models.from_config(ml_collections.ConfigDict(LITE0 | {"dtype": "bfloat16"}))
    assert dataclasses.replace(graph, network=low).network == graph.network


def test_a_resnet_becomes_onnx():
    network, images = models.Network(backbone=backbones.ResNet(stage_sizes=(1,), bottleneck=False)), images_of(7)
    params = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))["params"]
    graph = Graph(network, params | {"head": jax.tree.map(lambda x: 10 * x, params["head"])}, SIZE)
    wanted = jax.jit(graph.columns)(images)["blur"]
    assert np.ptp(wanted) > 0.01  # or nothing would be shown
    np.testing.assert_allclose(onnx_backend.make(network, graph.params, SIZE)(images), wanted, atol=1e-5)


def test_the_backend_scores_batches_of_every_size(lite0):
    graph, score = lite0
    forward = onnx_backend.make(graph.network, graph.params, SIZE)
    wanted = score(images_of(6))
    for count, batch_size in [(1, 64), (5, 2), (40, 64)]:
        found = forward(images_of(count), batch_size=batch_size)
        assert (found.shape, found.dtype) == ((count,), np.float32)
        np.testing.assert_allclose(found, np.resize(wanted, count), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda columns: columns | {"blur": columns["blur"] + np.float32(2e-5)}, "differs from the run by 5"),
        (lambda columns: columns | {"sharpness": columns["sharpness"] + np.float32(0.01)}, "differs from the run by 1"),
        (lambda columns: columns | {"blur": columns["blur"] * np.float32(np.nan)}, "differs from the run by nan"),
        (lambda columns: {"blur": columns["blur"]}, r"returns the columns \['blur'\] instead of"),
        (lambda columns: {name: column[:1] for name, column in columns.items()}, r"float32 \[1\] for 6 images"),
    ],
)
def test_a_file_that_differs_is_not_kept(tmp_path, lite0, described, monkeypatch, change, message):
    graph, score = lite0

    def run(images):
        blur = score(images)
        return change({name: np.float32(column) for name, column in to_columns(blur, CALIBRATION).items()})

    wrong = dataclasses.replace(formats.FORMATS["safetensors"], open=lambda path: run)
    monkeypatch.setitem(formats.FORMATS, "safetensors", wrong)
    with pytest.raises(ValueError, match=message):
        writing.write(graph, described, score, output=tmp_path / "a.safetensors", format="safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_converter_that_fails_is_told_in_a_line(tmp_path, lite0, described, monkeypatch):
    def build(graph, metadata):
        raise NotImplementedError("no plugin for primitive 'x'\nand much more")

    monkeypatch.setitem(formats.FORMATS, "onnx", dataclasses.replace(formats.FORMATS["onnx"], build=build))
    message = r"cannot be exported to onnx \(NotImplementedError: no plugin for primitive 'x'\); nothing was written"
    with pytest.raises(ValueError, match=message):
        writing.write(lite0[0], described, lite0[1], output=tmp_path / "a.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []


INTERVAL = {"value": 0.84567, "low": 0.8, "high": 0.9}


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_card_has_valid_front_matter(described, name):
    metrics = {"splits": {"test": {"spearman": INTERVAL, "size_matched": {"auc": INTERVAL | {"value": 0.7}}}}}
    _, front, body = card.text(described, file="scorer.onnx", format=name, metrics=metrics).split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["license"] == "other"
    assert name in front["tags"]
    assert front["metrics"] == ["roc_auc"]  # Of matched size, since the run has that.
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"] == {"name": "some_blur with matched sizes", "type": "some_blur", "split": "test"}
    assert result["metrics"][0]["value"] == 0.7
    assert "| test with matched sizes | AUC, clear versus blurred | 0.700 [0.800, 0.900] |" in body
    for part in ("| blur | 0 to 1 | blurrier |", "| sharpness | 0 to 100 | sharper", "1.25 times", "Apache-2.0"):
        assert part in body
    assert "Keep a picture if `blur < 0.62`. Threshold source: 10% of 50 pictures are to go" in body
    assert "{" not in body.split("```")[0]


def test_a_card_leaves_out_what_is_undefined_and_is_one_that_hugging_face_reads(described):
    undefined, lone = {"value": None, "low": None, "high": None}, INTERVAL | {"low": None, "high": None}
    metrics = {"splits": {"test": {"pairwise_accuracy": undefined, "spearman": lone}}}
    text = card.text(described, file="scorer.onnx", format="onnx", metrics=metrics)
    (result,) = yaml.safe_load(text.split("---\n", 2)[1])["model-index"][0]["results"]
    assert [metric["value"] for metric in result["metrics"]] == [0.8457]
    assert "| 0.846 |" in text
    (result,) = pytest.importorskip("huggingface_hub").ModelCard(text).data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("spearmanr", 0.8457, "test")


def test_a_card_without_results_threshold_and_calibration(described):
    bare = described | {"threshold": None, "calibration": None}
    _, front, body = card.text(bare, file="scorer.onnx", format="onnx", metrics=None).split("---\n", 2)
    assert "model-index" not in yaml.safe_load(front)
    for part in ("not calibrated", "No threshold", "no test results"):
        assert part in body
