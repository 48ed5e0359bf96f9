"""The experiments behind the results in docs/; each is one command, `python -m experiments.NAME --help`.

A command that is run again resumes and does not repeat finished runs. Its tables name the command and the machine.
"""
