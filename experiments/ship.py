"""Writes the scorer that comes with the package, and the table of the portraits behind it.

    python launch.py --config=configs/portraits.py --config.data.manual_dir=PORTRAITS --workdir=runs/portraits
    python -m experiments.ship --run=runs/portraits --portraits=PORTRAITS

PORTRAITS is a folder of sharp portraits whose boxes.csv also has the columns `source` and `licence`. Writes
blur_jax/shipped/portraits-2.npz and portraits-2.csv; docs/data.md and the model card describe them.
"""

import csv
import os
from pathlib import Path

from absl import flags

from blur_jax.data import files
from blur_jax.data.columns import BOX_COLUMNS
from blur_jax.data.csv_tables import read_table
from blur_jax.data.picture_lists import BOXES_FILE
from blur_jax.runs import checkpoints
from blur_jax.runs.checkpoints import shipped
from blur_jax.shipped import DEFAULT, ENDING, FOLDER
from experiments import command

_CREDITS = ("name", "source", "licence")


def ship(run: str, portraits: str, output: str) -> None:
    """Writes the scorer and the table of its portraits, and prints their paths."""
    saved = checkpoints.find(run)
    _, params = checkpoints.load_network(saved)
    scorer, table = Path(output, f"{DEFAULT}{ENDING}"), Path(output, f"{DEFAULT}.csv")
    shipped.write(scorer, saved, params)
    with open(os.path.join(portraits, BOXES_FILE), "rb") as file:
        table_rows = read_table(file, BOXES_FILE, _CREDITS, BOX_COLUMNS)
        rows = [[fields[name] for name in _CREDITS] for _, fields in table_rows]
    with files.replacing(table) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("name", "source", "license"), *rows])
    print(scorer, table, sep="\n")


if __name__ == "__main__":
    flags.DEFINE_string("run", None, "A run of configs/portraits.py.", required=True)
    flags.DEFINE_string("portraits", None, "The folder that it was fitted to.", required=True)
    flags.DEFINE_string("output", str(FOLDER), "The folder to write to.")
    command.main(ship)
