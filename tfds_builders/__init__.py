"""Builders of blur data sets: all the code that depends on a file format."""
