"""Sharpness measures and features from frozen networks, as pure functions of uint8 RGB images.

Gray levels (ITU-R BT.601 luma, rounded to uint8) and filters come from OpenCV. Its filters mirror the border without
repeating the outermost pixel. The closed-form measures are larger for sharper images.
"""

from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from skimage import measure

from blur_jax.models import backbones, network, pretrained
from blur_jax.runs import inference

KERNEL_SIZES = (1, 3, 5, 7, 9)  # For the Laplacian and Sobel filters in OFIQ's sharpness measure.
BOX_SIZES = (3, 5, 7)


def contrast(image: np.ndarray) -> float:
    """Standard deviation of uint8 [H, W, 3] in gray, at least 0; it says how much of another measure is contrast."""
    return float(_gray(image).std())


def laplacian_variance(image: np.ndarray) -> float:
    """Variance of the 4-neighbor Laplacian of the gray image (Pech-Pacheco et al., ICPR 2000); uint8 [H, W, 3]."""
    return float(cv2.Laplacian(_gray(image), cv2.CV_64F, ksize=1).var())


def normalized_laplacian_variance(image: np.ndarray) -> float:
    """`laplacian_variance` divided by the variance of the gray image, to cancel contrast; 0 if there is no contrast."""
    contrast = _gray(image).var()
    return laplacian_variance(image) / float(contrast) if contrast else 0.0


def tenengrad(image: np.ndarray) -> float:
    """Mean squared gradient of the gray image with 3x3 Sobel filters (Tenenbaum, 1970; Krotkov, IJCV 1988)."""
    gray = _gray(image)
    return float(sum(np.square(cv2.Sobel(gray, cv2.CV_64F, *axes, ksize=3)).mean() for axes in ((1, 0), (0, 1))))


def sharpness_of_blur_effect(image: np.ndarray) -> float:
    """1 minus scikit-image's `blur_effect` of the gray image (Crete et al., SPIE 6492, 2007), in [0, 1]."""
    return 1.0 - float(measure.blur_effect(_gray(image)))


def ofiq_sharpness(image: np.ndarray) -> np.ndarray:
    """The 26 sharpness features of OFIQ and ISO/IEC 29794-5, float64 and at least 0, for uint8 [H, W, 3].

    They are computed on the whole image, without a face mask. They are the mean and standard deviation over pixels of
        |Laplacian| of the gray image after a 3x3 Gaussian, for kernel sizes 1, 3, 5, 7, 9   (10 features);
        |gray - box blur|, for box sizes 3, 5, 7, rounded to uint8 like in OFIQ              (6);
        |Sobel dx dy| of the gray image, for kernel sizes 1, 3, 5, 7, 9                      (10).
    Each mean is followed by its standard deviation. Kernels are not normalized, so the scales of the features differ by
    orders of magnitude. OpenCV's mixed Sobel derivatives for sizes 1 and 3 are equal.
    """
    gray = _gray(image)
    smooth = cv2.GaussianBlur(gray, (3, 3), 0)
    responses = [cv2.Laplacian(smooth, cv2.CV_64F, ksize=size) for size in KERNEL_SIZES]
    responses += [cv2.absdiff(gray, cv2.blur(gray, (size, size))) for size in BOX_SIZES]
    responses += [cv2.Sobel(gray, cv2.CV_64F, 1, 1, ksize=size) for size in KERNEL_SIZES]
    return np.array([value for response in map(np.abs, responses) for value in (response.mean(), response.std())])


def imagenet_features(images: np.ndarray, *, batch_size: int = 64) -> np.ndarray:
    """Mean and standard deviation over positions for each block of EfficientNet-Lite0 with ImageNet weights.

    Takes images uint8 [n, S, S, 3], S >= 32; returns float32 [n, 3616], twice the sum of the blocks' channels. Raises
    FileNotFoundError or ValueError if the weights' package is missing or damaged; see `pretrained.load`.
    """
    backbone = backbones.EfficientNetLite0()
    template = jax.eval_shape(backbone.init, jax.random.key(0), jnp.zeros((1, *images.shape[1:])))
    params = pretrained.load("efficientnet_lite0", {"backbone": template["params"]})["backbone"]

    def features(params: Any, images: jax.Array) -> jax.Array:
        maps: Any = backbone.apply({"params": params}, images)
        return jnp.concatenate([network.mean_and_std(block) for block in maps], axis=-1)

    return inference.make_map(features)(params, images, batch_size=batch_size, progress="ImageNet features")


def _gray(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
