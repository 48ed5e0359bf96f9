"""Builders of blur data sets; all code that depends on a file format is here."""
