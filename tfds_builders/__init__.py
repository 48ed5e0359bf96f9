"""Builders of blur data sets: everything that knows a file format."""
