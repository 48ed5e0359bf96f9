"""The experiments behind the results in docs/; each is a command, `python -m experiments.NAME --help`.

A rerun resumes and does not repeat finished runs. The tables state the command and the machine.
"""
