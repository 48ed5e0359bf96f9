"""What backs the results in docs/: each experiment is one command, `python -m experiments.NAME --help`.

An experiment never trains what it has trained: rerun the same command to resume it. Its tables come with the command
and the machine that made them.
"""
