"""The default data set: real faces from a PyPI package, blurred with known strength."""

from tfds_builders.demo_face_blur.builder import DemoFaceBlur as DemoFaceBlur
