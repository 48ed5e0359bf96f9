"""The paper's release of rank labels over a user's local copies of the source photographs."""

from tfds_builders.ssranking_face_blur.builder import SsrankingFaceBlur as SsrankingFaceBlur
