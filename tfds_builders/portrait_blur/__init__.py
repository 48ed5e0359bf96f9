"""Sharp portraits in a folder, blurred by known amounts."""

from tfds_builders.portrait_blur.builder import PortraitBlur as PortraitBlur
