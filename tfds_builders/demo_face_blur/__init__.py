"""Real faces from a PyPI package, blurred with known strength: the default data set."""

from tfds_builders.demo_face_blur.builder import DemoFaceBlur as DemoFaceBlur
