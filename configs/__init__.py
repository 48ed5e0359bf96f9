"""Configs of runs: default.py documents every field; the others change a few."""
