"""Benchmarks of speed, and fault tests; each is a command, `python -m benchmarks.NAME --help`.

Compare times only within one call.
"""
