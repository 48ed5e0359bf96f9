"""Markdown tables that say which command made them, on which machine and when: those in docs/ are copies of these."""

import datetime
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence

import jax

from blur_jax.runs import run_dir


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table.

    Raises:
        ValueError: a row has more or fewer cells than the header.
    """
    lines = [header, ["---"] * len(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells, the table {len(header)} columns: {row[0]}")
        lines.append(row)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def over_seeds(values: Sequence[float]) -> str:
    """Writes the mean of runs and each of them: "0.850 (0.800, 0.900)"."""
    return f"{statistics.mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})"


def origin() -> str:
    """Returns the command that is running, the machine, jax's version and the date, on one line."""
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    command = shlex.join(["python", "-m", f"experiments.{name}", *sys.argv[1:]])
    machine = f"{jax.device_count()} x {jax.devices()[0].device_kind}, {os.cpu_count()} cores ({platform.machine()})"
    return f"`{command}`; {machine}; jax {jax.__version__}; {datetime.date.today().isoformat()}"


def publish(workdir: str, name: str, tables: Mapping[str, str], *, note: str = "") -> None:
    """Writes tables to `<workdir>/<name>.md` and prints them, each with its title above and its origin below.

    Args:
        workdir: folder, created where needed.
        name: of the experiment.
        tables: {title: table}.
        note: what else belongs to the origin, such as how long it took.
    """
    line = "; ".join(filter(None, [origin(), note]))
    text = "\n\n".join(f"**{title}**\n\n{table}\n\n{line}" for title, table in tables.items())
    run_dir.write_atomically(os.path.join(workdir, f"{name}.md"), text + "\n")
    print(text)
