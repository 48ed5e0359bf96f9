"""Builders for blur data sets; contains all code that depends on a file format."""
