"""Your own folder of pictures with hand-written labels."""

from tfds_builders.folder_face_blur.builder import FolderFaceBlur as FolderFaceBlur
