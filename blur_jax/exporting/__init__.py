"""A trained scorer as one file for programs without JAX: ONNX, StableHLO or safetensors, and what is said of it.

Exports hold the whole way from uint8 images to the columns that scoring reports; the crop and resize before it is in
words and numbers in the metadata.
"""
