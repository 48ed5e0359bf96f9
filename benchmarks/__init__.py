"""Speed alone: each is one command, `python -m benchmarks.NAME --help`. Compare times within one call only."""
