"""Speed benchmarks and fault tests; each is a command, `python -m benchmarks.NAME --help`.

Only compare times from the same run of a command.
"""
