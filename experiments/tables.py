"""Markdown tables that state the command, machine and date that produced them; docs/ contains copies of them."""

import datetime
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence

import jax

from blur_jax.runs import run_dir


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table; raises ValueError if a row has more or fewer cells than the header."""
    lines = [header, ["---"] * len(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells but the table has {len(header)} columns: {row[0]}")
        lines.append(row)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def origin() -> str:
    """Returns the current command, machine, jax version and date on one line."""
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    command = shlex.join(["python", "-m", f"experiments.{name}", *sys.argv[1:]])
    machine = f"{jax.device_count()} x {jax.devices()[0].device_kind}, {os.cpu_count()} cores ({platform.machine()})"
    return f"`{command}`; {machine}; jax {jax.__version__}; {datetime.date.today().isoformat()}"


def publish(workdir: str, name: str, tables: Mapping[str, str], *, note: str = "") -> None:
    """Writes tables {title: table} to `<workdir>/<name>.md` and prints them, each with its title and origin.

    `note`, such as the time the experiment took, is appended to the origin.
    """
    line = "; ".join(filter(None, [origin(), note]))
    text = "\n\n".join(f"**{title}**\n\n{table}\n\n{line}" for title, table in tables.items())
    run_dir.write_atomically(os.path.join(workdir, f"{name}.md"), text + "\n")
    print(text)
