"""The project's networks in PyTorch: images [batch, 3, S, S] in [0, 1] -> scores [batch].

Modules have the same names as their Flax counterparts so that `from_flax` can copy the parameters.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from flax import traverse_util
from torch import nn
from torch.nn import functional

from blur_jax.models import backbones
from blur_jax.models import network as models

_HEADS = 8  # Heads of AttentionPool.


class SameConv(nn.Conv2d):
    """A convolution with Flax's SAME padding; at stride 2, the extra row is added at the end."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        (size, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max(0, (-(-length // stride) - 1) * stride + size - length) for length in input.shape[2:])
        if height % 2 or width % 2:
            input = functional.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
            height = width = 0
        padding = (height // 2, width // 2)
        return functional.conv2d(input, self.weight, self.bias, self.stride, padding, groups=self.groups)


class ConvNorm(nn.Sequential):
    """A convolution without bias, followed by group normalization."""

    def __init__(self, inputs: int, features: int, size: int, strides: int = 1, groups: int = 32) -> None:
        conv, norm = SameConv(inputs, features, size, strides, bias=False), nn.GroupNorm(groups, features, eps=1e-5)
        super().__init__(OrderedDict(conv=conv, norm=norm))


class SmallNet(nn.Module):
    """backbones.SmallNet."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = list(widths)
        self.stem = ConvNorm(3, widths[0], 4, 2, groups=1)
        for stage, (inputs, width) in enumerate(zip(widths, widths[1:]), start=1):
            self.add_module(f"stage{stage}_down", ConvNorm(inputs, width, 3, 2, groups=1))
            self.add_module(f"stage{stage}_residual", ConvNorm(width, width, 3, groups=1))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        x = functional.relu(self.stem((images - 0.5) / 0.25), inplace=True)
        maps = [x]
        for stage in range(1, len(self.channels)):
            x = functional.relu(self.get_submodule(f"stage{stage}_down")(x), inplace=True)
            x = x + functional.relu(self.get_submodule(f"stage{stage}_residual")(x), inplace=True)
            maps.append(x)
        return maps


class ResNetBlock(nn.Module):
    """backbones.ResNetBlock."""

    def __init__(self, inputs: int, features: int, strides: int, bottleneck: bool) -> None:
        super().__init__()
        self.outputs = 4 * features if bottleneck else features
        self.conv0 = ConvNorm(inputs, features, 1) if bottleneck else ConvNorm(inputs, features, 3, strides)
        self.conv1 = ConvNorm(features, features, 3, strides if bottleneck else 1)
        if bottleneck:
            self.conv2 = ConvNorm(features, self.outputs, 1)
        if strides > 1 or inputs != self.outputs:
            self.shortcut = ConvNorm(inputs, self.outputs, 1, strides)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv1(functional.relu(self.conv0(x), inplace=True))
        if hasattr(self, "conv2"):
            y = self.conv2(functional.relu(y, inplace=True))
        return functional.relu(y + (self.shortcut(x) if hasattr(self, "shortcut") else x), inplace=True)


class ResNet(nn.Module):
    """backbones.ResNet."""

    def __init__(self, stage_sizes: tuple[int, ...], bottleneck: bool) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 64, 7, 2)
        self.stages, self.channels, inputs = [], [], 64
        for stage, size in enumerate(stage_sizes):
            names = [f"stage{stage}_block{block}" for block in range(size)]
            for name in names:
                strides = 2 if stage > 0 and name == names[0] else 1
                block = ResNetBlock(inputs, 64 * 2**stage, strides, bottleneck)
                self.add_module(name, block)
                inputs = block.outputs
            self.stages.append(names)
            self.channels.append(inputs)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        x = functional.relu(self.stem((images - 0.5) / 0.25), inplace=True)
        # SAME: the last window extends beyond an even side; the first and last windows extend beyond an odd side.
        x = functional.max_pool2d(x, 3, 2, padding=x.shape[-1] % 2, ceil_mode=True)
        maps = []
        for names in self.stages:
            for name in names:
                x = self.get_submodule(name)(x)
            maps.append(x)
        return maps


class InvertedResidual(nn.Module):
    """backbones.InvertedResidual."""

    def __init__(self, inputs: int, features: int, size: int, strides: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        if expansion > 1:
            self.expand = nn.Conv2d(inputs, inner, 1)
        self.depthwise = SameConv(inner, inner, size, strides, groups=inner)
        self.project = nn.Conv2d(inner, features, 1)
        self.is_residual = strides == 1 and inputs == features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu6(self.expand(x), inplace=True) if hasattr(self, "expand") else x
        y = self.project(functional.relu6(self.depthwise(y), inplace=True))
        return x + y if self.is_residual else y


class EfficientNetLite0(nn.Module):
    """backbones.EfficientNetLite0, cut after `blocks` blocks."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        self.channels, inputs = [], 32
        for index, (features, *rest) in enumerate(backbones.LITE0_BLOCKS[:blocks]):
            self.add_module(f"block{index:02d}", InvertedResidual(inputs, features, *rest))
            inputs = features
            self.channels.append(features)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        x = functional.relu6(self.stem((images * 255.0 - 127.0) / 128.0), inplace=True)
        maps = []
        for index in range(len(self.channels)):
            x = self.get_submodule(f"block{index:02d}")(x)
            maps.append(x / 8.0)
        return maps


class AttentionPool(nn.Module):
    """models.AttentionPool."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Linear(channels, _HEADS, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Pools [batch, channels, height, width] to [batch, heads * channels]."""
        maps = maps.flatten(2).transpose(1, 2)
        return (self.weights(maps).softmax(dim=1).transpose(1, 2) @ maps).flatten(1)


class Network(nn.Module):
    """models.Network."""

    def __init__(self, backbone: SmallNet | ResNet | EfficientNetLite0, center: bool) -> None:
        super().__init__()
        self.backbone, self.center = backbone, center
        self.attention = AttentionPool(backbone.channels[-1])
        pooled = 2 * sum(backbone.channels) * (2 if center else 1)
        self.head = nn.Linear(pooled + _HEADS * backbone.channels[-1], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores [batch, 3, S, S] in [0, 1] as float32 [batch]; pooling and head use float32 even under autocast."""
        maps = self.backbone(images)
        with torch.autocast(images.device.type, enabled=False):
            maps = [features.float() for features in maps]
            pooled = [*maps, *map(_central_half, maps)] if self.center else maps
            features = torch.cat([*map(_mean_and_std, pooled), self.attention(maps[-1])], dim=1)
            return self.head(features)[:, 0].sigmoid()


def _central_half(maps: torch.Tensor) -> torch.Tensor:
    top, left = maps.shape[2] // 4, maps.shape[3] // 4
    return maps[:, :, top : maps.shape[2] - top, left : maps.shape[3] - left]


def _mean_and_std(maps: torch.Tensor) -> torch.Tensor:
    maps = maps.flatten(2)
    mean = maps.mean(dim=2, keepdim=True)
    # Twice as fast as torch.var_mean on a CPU.
    variance = torch.linalg.vector_norm(maps - mean, dim=2) ** 2 / maps.shape[2]
    return torch.cat([mean[:, :, 0], (variance + 1e-6).sqrt()], dim=1)


def from_flax(model: models.Network, params: Mapping[str, Any]) -> Network:
    """Returns the PyTorch counterpart of a Flax network, with its parameters; raises TypeError if there is none."""
    match model.backbone:
        case backbones.SmallNet(widths=widths):
            backbone = SmallNet(widths)
        case backbones.ResNet(stage_sizes=sizes, bottleneck=bottleneck):
            backbone = ResNet(sizes, bottleneck)
        case backbones.EfficientNetLite0(blocks=blocks):
            backbone = EfficientNetLite0(blocks)
        case unknown:
            raise TypeError(f"benchmarks/peers/networks.py does not implement {type(unknown).__name__}; add it there")
    network = Network(backbone, model.pool_center)
    network.load_state_dict(state_dict(params))
    return network


def state_dict(params: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Returns Flax parameters or gradients with PyTorch's names and layout."""
    layouts = {2: (1, 0), 4: (3, 2, 0, 1)}  # Dense layers; convolutions, [height, width, in, out] in Flax.
    tensors = {}
    for (*path, leaf), array in traverse_util.flatten_dict(dict(params)).items():
        array = np.asarray(array)
        array = array.transpose(layouts.get(array.ndim, range(array.ndim)))
        tensors[".".join([*path, "bias" if leaf == "bias" else "weight"])] = torch.tensor(array)
    return tensors
