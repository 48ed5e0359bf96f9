"""Experiment configs, frozen so that results stay reproducible when the best recipe in configs/ changes."""
