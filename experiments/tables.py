"""Markdown tables that name the command, machine and date that made them; docs/ holds copies."""

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
            raise ValueError(f"a row has {len(row)} cells, the table {len(header)} columns: {row[0]}")
        lines.append(row)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def publish(workdir: str, name: str, tables: Mapping[str, str], *, note: str = "") -> None:
    """Writes tables {title: table} to `<workdir>/<name>.md` and prints them, each below its title and above its origin.

    The origin is the command, the machine, the version of jax, the date and the note, such as the time that it took.
    """
    script = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    command = shlex.join(["python", "-m", f"experiments.{script}", *sys.argv[1:]])
    machine = f"{jax.device_count()} x {jax.devices()[0].device_kind}, {os.cpu_count()} cores ({platform.machine()})"
    date = datetime.date.today().isoformat()
    line = "; ".join(filter(None, [f"`{command}`", machine, f"jax {jax.__version__}", date, note]))
    text = "\n\n".join(f"**{title}**\n\n{table}\n\n{line}" for title, table in tables.items())
    run_dir.write_atomically(os.path.join(workdir, f"{name}.md"), text + "\n")
    print(text)
