"""Turns Label Studio's pairwise comparisons into pairs.csv: `python -m tfds_builders.label_studio`."""
