"""The function to export: maps uint8 images to `calibration.to_columns`, with the parameters built in."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from blur_jax.metrics.calibration import Calibration, to_columns
from blur_jax.models import backbones, depthwise
from blur_jax.models import network as models
from blur_jax.runs import inference


@dataclasses.dataclass(frozen=True)
class Graph:
    """A checkpoint's function from images to columns, always in float32, even if the run used a different dtype."""

    network: models.Network
    params: models.Params
    image_size: int  # The side S of the images, in pixels.
    calibration: Calibration | None = None  # None leaves out the columns that need it.

    def __post_init__(self) -> None:
        backbone = self.network.backbone.clone(dtype=jnp.float32)
        object.__setattr__(self, "network", self.network.clone(backbone=backbone))

    def columns(self, images: jax.Array) -> dict[str, jax.Array]:
        """Maps uint8 [n, S, S, 3] to {column: float32 [n]}, with the names and order of `calibration.to_columns`."""
        blur = self.network.apply({"params": self.params}, inference.to_float(images))
        return to_columns(blur, self.calibration, xp=jnp)

    @property
    def names(self) -> list[str]:
        return list(to_columns(np.zeros(1, np.float32), self.calibration))

    @property
    def has_group_norm(self) -> bool:
        return not isinstance(self.network.backbone, backbones.EfficientNetLite0)

    def portable(self) -> "Graph":
        """Returns the same function using only operations that ONNX converters support."""
        changes: dict[str, Any] = _PORTABLE.get(type(self.network.backbone), {})
        backbone = self.network.backbone.clone(**changes)
        return dataclasses.replace(self, network=self.network.clone(backbone=backbone))

    def input_shape(self, batch: Any) -> jax.ShapeDtypeStruct:
        """Returns the shape and dtype of the images; the batch dimension may be symbolic."""
        return jax.ShapeDtypeStruct((batch, self.image_size, self.image_size, 3), jnp.uint8)


def _max_pool(x: jax.Array) -> jax.Array:
    """Max-pools [b, h, w, c] like ResNet (3 x 3, stride 2, SAME padding) by taking the maximum of shifted maps.

    Edge positions are counted twice, which does not change the maximum.
    """
    for axis in (1, 2):
        length = x.shape[axis]
        ((before, _),) = lax.padtype_to_pads((length,), (3,), (2,), "SAME")
        places = 2 * np.arange(-(-length // 2)) - before
        taps = [jnp.take(x, np.clip(places + tap, 0, length - 1), axis=axis, mode="clip") for tap in range(3)]
        x = functools.reduce(jnp.maximum, taps)
    return x


# Backbone operations that `Graph.portable` replaces.
_PORTABLE = {
    backbones.EfficientNetLite0: {"depthwise_conv": depthwise.by_convolution},
    backbones.ResNet: {"max_pool": _max_pool},
    backbones.SmallNet: {"stem_conv": lax.conv_general_dilated},
}
