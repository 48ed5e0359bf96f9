"""The paper's release of rank labels, applied to the user's own copies of the source photographs."""

from tfds_builders.ssranking_face_blur.builder import SsrankingFaceBlur as SsrankingFaceBlur
