"""The default data set: real faces from a PyPI package, blurred by known amounts."""

from tfds_builders.demo_face_blur.builder import DemoFaceBlur as DemoFaceBlur
