"""Converts Label Studio's pairwise comparisons to pairs.csv: `python -m tfds_builders.label_studio`."""
