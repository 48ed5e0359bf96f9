"""Label Studio's pairwise comparisons -> pairs.csv: `python -m tfds_builders.label_studio`."""
