"""The experiments behind the results in docs/; each is a command, `python -m experiments.NAME --help`.

Rerunning a command resumes it without repeating finished runs. Each table states its command and machine.
"""
