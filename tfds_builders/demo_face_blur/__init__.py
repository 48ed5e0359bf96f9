"""Real faces out of a PyPI package, blurred with known strength: the embedded default."""

from tfds_builders.demo_face_blur.builder import DemoFaceBlur as DemoFaceBlur
