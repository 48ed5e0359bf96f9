"""The experiments behind the results in docs/; each is one command, `python -m experiments.NAME --help`.

A rerun resumes and does not repeat finished runs. The tables name the command and the machine.
"""
