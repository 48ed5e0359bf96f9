import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from blur_jax.models import backbones, network
from configs import default
from tests.helpers.platforms import lowered

SIZE = 32
ALL = sorted(network.BACKBONES)
# Every kind of block of each backbone, at a fraction of the compilation time.
SHRUNK = {
    "small": backbones.SmallNet(),
    "resnet18": backbones.ResNet(stage_sizes=(2, 1), bottleneck=False),
    "resnet50": backbones.ResNet(stage_sizes=(2, 1), bottleneck=True),
    "efficientnet_lite0": backbones.EfficientNetLite0(blocks=4),
}


@functools.cache
def scorer_and_variables(backbone):
    scorer = network.Network(backbone=SHRUNK[backbone])
    return scorer, jax.jit(scorer.init)(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))


@functools.cache
def shapes(backbone, blocks=None):
    """The parameters of a whole backbone, as shapes and dtypes."""
    scorer = network.build(backbone=backbone, blocks=blocks)
    return jax.eval_shape(scorer.init, jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))


@functools.cache
def images(batch=7, size=SIZE):
    return jax.random.uniform(jax.random.key(1), (batch, size, size, 3))


@functools.cache
def scores(backbone, batch):
    scorer, variables = scorer_and_variables(backbone)
    return np.asarray(jax.jit(scorer.apply)(variables, images()[:batch]))


def num_params(variables):
    return sum(array.size for array in jax.tree.leaves(variables))


@pytest.mark.parametrize("backbone", ALL)
def test_scores_are_one_float32_per_image_near_a_half(backbone):
    result = scores(backbone, 7)
    assert result.shape == (7,)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 0.5, atol=0.15)
    assert len(np.unique(result)) == 7, "different images, different scores"


@pytest.mark.parametrize("backbone", ALL)
def test_a_score_does_not_depend_on_the_other_images(backbone):
    np.testing.assert_allclose(scores(backbone, 1), scores(backbone, 7)[:1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("backbone", ALL)
def test_gradients_reach_every_parameter(backbone):
    scorer, variables = scorer_and_variables(backbone)

    gradients = jax.jit(jax.grad(lambda v: jnp.sum(jnp.log(scorer.apply(v, images())))))(variables)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), path


@pytest.mark.parametrize(("backbone", "blocks"), [("small", None), ("resnet50", None), ("efficientnet_lite0", 4)])
def test_bfloat16_computation_keeps_parameters_and_scores_float32(backbone, blocks):
    scorer = network.build(backbone=backbone, dtype=jnp.bfloat16, blocks=blocks)
    batch = jax.ShapeDtypeStruct((2, SIZE, SIZE, 3), jnp.float32)
    variables = jax.eval_shape(scorer.init, jax.random.key(0), batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    result = jax.eval_shape(scorer.apply, variables, batch)
    assert (result.shape, result.dtype) == ((2,), np.dtype("float32"))
    maps = jax.eval_shape(lambda v, x: scorer.bind(v).backbone(x), variables, batch)
    assert {leaf.dtype for leaf in maps} == {jnp.dtype("bfloat16")}


def test_bfloat16_scores_are_close_to_float32_scores():
    _, variables = scorer_and_variables("small")
    half = network.build(backbone="small", dtype=jnp.bfloat16)
    result = jax.jit(half.apply)(variables, images())
    # bfloat16 has 8 significant bits: 0.4 % per operation, on logits below 1.
    np.testing.assert_allclose(result, scores("small", 7), atol=0.01)


@pytest.mark.parametrize("batch", [6, 7])
def test_frozen_blocks_change_neither_scores_nor_the_gradients_of_the_rest(batch):
    """They are computed for two images at a time, or for one if the number of images is odd. 5 s of CPU."""
    scorer, variables = scorer_and_variables("efficientnet_lite0")
    frozen_scorer = network.with_frozen(scorer, 2)
    trained, frozen = network.partition(variables["params"], 2)
    pictures = images()[:batch]

    @functools.partial(jax.jit, static_argnums=0)
    def run(model):
        def loss(trained):
            result = model.apply({"params": network.merge(trained, frozen)}, pictures)
            return jnp.sum(jnp.log(result)), result

        return jax.grad(loss, has_aux=True)(trained)

    (gradients, result), (expected_gradients, expected) = run(frozen_scorer), run(scorer)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)
    for one, other in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected_gradients), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_frozen_blocks_do_not_change_the_parameters():
    scorer, variables = scorer_and_variables("efficientnet_lite0")
    initial = jax.jit(network.with_frozen(scorer, 2).init)(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
    jax.tree.map(np.testing.assert_array_equal, initial, variables)


@pytest.mark.parametrize(("platform", "in_turn"), [("cpu", True), ("tpu", False)])
def test_only_a_cpu_computes_frozen_blocks_for_a_few_images_at_a_time(platform, in_turn):
    scorer, variables = scorer_and_variables("efficientnet_lite0")
    program = lowered(network.with_frozen(scorer, 2).apply, variables, images(), platform=platform)
    assert ("stablehlo.while" in program) == in_turn
    assert "stablehlo.while" not in lowered(scorer.apply, variables, images(), platform=platform)


def test_flat_images_have_finite_gradients():
    scorer, variables = scorer_and_variables("small")
    flat = jnp.full((2, SIZE, SIZE, 3), 0.5)
    gradients = jax.jit(jax.grad(lambda v: jnp.sum(scorer.apply(v, flat))))(variables)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("backbone", ALL)
def test_any_size_gives_the_same_parameters_and_no_batch_statistics(backbone):
    scorer, variables = network.build(backbone=backbone), shapes(backbone)
    batch = jax.ShapeDtypeStruct((2, 45, 45, 3), jnp.float32)
    assert jax.eval_shape(scorer.apply, variables, batch).shape == (2,)
    assert set(variables) == {"params"}
    assert set(variables["params"]) == {"attention", "backbone", "head"}


def test_mean_and_std_of_known_maps():
    maps = jnp.array([[1.0, 3.0], [5.0, 7.0]])[None, :, :, None]
    pooled = network.mean_and_std(jnp.concatenate([maps, jnp.full_like(maps, 2.0)], axis=-1))
    # Channel 0: mean 4, variance (9 + 1 + 1 + 9) / 4 = 5. Channel 1: flat, and 1e-6 below the root.
    np.testing.assert_allclose(pooled, [[4.0, 2.0, 5.0**0.5, 1e-3]], rtol=1e-6)


def test_attention_by_hand():
    maps = jnp.array([[[[1.0, 10.0], [3.0, 30.0]]]])  # one row of two positions
    # Head 0 looks nowhere in particular; head 1 weighs by channel 0: e^3 / (e^1 + e^3) for the second position.
    weights = {"kernel": jnp.array([[0.0, 1.0], [0.0, 0.0]])}
    pooled = network.AttentionPool(heads=2).apply({"params": {"weights": weights}}, maps)
    share = np.exp(3) / (np.exp(1) + np.exp(3))
    np.testing.assert_allclose(pooled, [[2.0, 20.0, 1 + 2 * share, 10 + 20 * share]], rtol=1e-5)


def test_number_of_parameters_of_the_small_network():
    # Convolutions 4*4*3*16 and, per stage, 3*3*in*out + 3*3*out*out; scale and bias per channel of each normalization;
    # attention of 8 heads on the last map; the head has a mean and a standard deviation per channel of each map, and
    # what each of the 8 heads attends to.
    convolutions = 768 + 9 * (16 * 32 + 32 * 32) + 9 * (32 * 64 + 64 * 64)
    norms, attention, head = 2 * (16 + 2 * 32 + 2 * 64), 64 * 8, 2 * (16 + 32 + 64) + 8 * 64 + 1
    assert num_params(shapes("small")) == convolutions + norms + attention + head == 71_553


@pytest.mark.parametrize(
    ("backbone", "original", "classifier", "widths"),
    [
        ("resnet18", 11_689_512, 512 * 1000 + 1000, (64, 128, 256, 512)),
        ("resnet50", 25_557_032, 2048 * 1000 + 1000, (256, 512, 1024, 2048)),
    ],
)
def test_number_of_parameters_of_resnets(backbone, original, classifier, widths):
    # The published totals with ImageNet's classifier; a group norm has what a batch norm had.
    attention = widths[-1] * 8
    expected = original - classifier + attention + 2 * sum(widths) + 8 * widths[-1] + 1
    assert num_params(shapes(backbone)) == expected


def test_number_of_parameters_of_efficientnet_lite0():
    # 4,652,008 trainable ones in the original. Gone are the classifier and the last 1x1 convolution with its norm.
    # Folding makes one bias of each norm's scale and bias, for 19,728 channels: 32 in the stem, then per block its
    # depthwise, its projected and, from the second block on, its expanded ones.
    expanded = [96, 144, 144, 240, 240, 480, 480, 480, 672, 672, 672, 1152, 1152, 1152, 1152]
    projected = [16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320]
    channels = 32 + 32 + 2 * sum(expanded) + sum(projected)
    backbone = 4_652_008 - (1280 * 1000 + 1000) - (320 * 1280 + 2 * 1280) - channels
    attention, head = 320 * 8, 2 * sum(projected) + 8 * 320 + 1
    assert num_params(shapes("efficientnet_lite0")) == backbone + attention + head == 2_947_857


def test_a_cut_network_has_the_first_blocks_of_the_whole_one():
    whole = jax.tree.map(jnp.shape, shapes("efficientnet_lite0")["params"]["backbone"])
    for blocks in (1, 16):
        tree = jax.tree.map(jnp.shape, shapes("efficientnet_lite0", blocks)["params"]["backbone"])
        assert sorted(tree) == [*(f"block{i:02d}" for i in range(blocks)), "stem"]
        assert tree == {name: whole[name] for name in tree}
    assert tree == whole


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"backbone": "resnet19"}, "resnet19.*unknown.*efficientnet_lite0, resnet18"),
        ({"backbone": "small", "blocks": 3}, "small.*cannot be truncated.*efficientnet_lite0"),
        ({"backbone": "efficientnet_lite0", "blocks": 0}, "blocks=0.*1 to 16"),
        ({"backbone": "efficientnet_lite0", "blocks": 17}, "blocks=17.*1 to 16"),
    ],
)
def test_what_cannot_be_built_is_told(kwargs, message):
    with pytest.raises(ValueError, match=message):
        network.build(**kwargs)


def test_central_half_by_hand():
    maps = jnp.arange(36.0).reshape(1, 6, 6, 1)
    # A quarter of 6, cut down to 1, goes on each side.
    np.testing.assert_array_equal(network.central_half(maps)[0, :, :, 0], np.arange(36.0).reshape(6, 6)[1:5, 1:5])
    np.testing.assert_array_equal(network.central_half(maps[:, :1, :1]), maps[:, :1, :1])


def test_center_pooling_adds_what_the_center_holds():
    plain, centered = (network.build(backbone="small", pool_center=center) for center in (False, True))
    variables = jax.jit(centered.init)(jax.random.key(0), images())
    apply = functools.partial(jax.jit, static_argnames="method")
    features, without = (apply(net.apply)(variables, images(), method="features") for net in (centered, plain))
    maps = jax.jit(lambda variables: centered.bind(variables).backbone(images()))(variables)
    start = 2 * sum(each.shape[-1] for each in maps)  # After mean and deviation of the whole maps.
    assert features.shape[1] == without.shape[1] + start
    quarter = maps[0].shape[1] // 4
    center = maps[0][:, quarter:-quarter, quarter:-quarter]
    np.testing.assert_allclose(features[:, start : start + 16], center.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(features[:, start + 16 : start + 32], center.std(axis=(1, 2)), atol=1e-3)


PARAMS = {
    "backbone": {"stem": {"bias": 0}, "block00": {"a": 1}, "block01": {"a": 2}, "block02": {"a": 3}},
    "head": {"kernel": 4},
    "attention": {"weights": {"kernel": 5}},
}


def test_the_stem_and_the_first_blocks_are_frozen():
    trained, frozen = network.partition(PARAMS, 2)
    assert frozen == {"backbone": {"stem": {"bias": 0}, "block00": {"a": 1}, "block01": {"a": 2}}}
    assert trained == PARAMS | {"backbone": {"block02": {"a": 3}}}
    assert network.merge(trained, frozen) == PARAMS
    assert network.partition(PARAMS, 0) == (PARAMS, {})


@pytest.mark.parametrize(("backbone", "frozen"), [("efficientnet_lite0", 4), ("efficientnet_lite0", -1), ("small", 1)])
def test_frozen_blocks_that_are_not_there_are_named(backbone, frozen):
    config = default.get_config().model
    config.backbone, config.frozen_blocks = backbone, frozen
    config.blocks = 3 if backbone == "efficientnet_lite0" else None
    with pytest.raises(ValueError, match=rf"config\.model\.frozen_blocks={frozen} "):
        network.from_config(config)
