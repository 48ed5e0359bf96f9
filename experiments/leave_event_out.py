"""How well does a config order faces of events that it was not trained on? What choices are made by, never the tests.

    python benchmarks/leave_event_out.py --config.data.manual_dir=LISTS --workdir=runs/loeo/default
    python benchmarks/leave_event_out.py ... --workdir=runs/loeo/no_center --config.model.center=False

For each event with enough labeled pairs within it, trains on the pairs without a face of it and judges by the share of
its own pairs that are put in the labeled order. A pair that shares no photograph with training is hard to come by in
the validation split; here there is nothing else. Started again, it goes on where it was. Prints a row for a table.
"""

import json
import os
import sys

import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from blur_jax import checkpoints, data, evaluate, metrics, parallel, scorer, writers  # noqa: E402
from blur_jax.train import train  # noqa: E402
from tfds_builders.build import prepare_configured  # noqa: E402

RESULT_FILE = "accuracy.json"


def event(name):
    """The folder of a face: the event of a WIDER photograph, the person of another."""
    return os.path.dirname(name)


def events(examples, least_pairs):
    """{event: indices of the pairs within it}, of the events that have enough of them."""
    found = {}
    for index, example in enumerate(examples):
        if event(example["left_name"]) == event(example["right_name"]):
            found.setdefault(event(example["left_name"]), []).append(index)
    return {name: indices for name, indices in sorted(found.items()) if len(indices) >= least_pairs}


def judge(config, folder, examples):
    """Share of labeled pairs that a run's checkpoint puts in their order; equal scores count one half."""
    saved = checkpoints.find(folder)
    model, params = scorer.load_model(saved)
    score_images = evaluate.make_score_images(model, batch_size=config.evaluation.batch_size, progress="judging")
    _, images, pairs, order = data.unique_faces(examples)
    scores = score_images(parallel.replicate(params), images)
    return float(np.mean(metrics.in_order(*scores[pairs].T, order)[order != 0]))


def run(config, *, workdir, seeds, least_pairs):
    """Trains what has not been trained and judges it; returns {event: [accuracy of each seed]}."""
    if config.data.manual_dir:  # Not needed once the data are prepared.
        prepare_configured(config.data)
    examples = data.open_split(config.data, "labeled", config.data.labeled_split).examples
    accuracy = {}
    for name, indices in events(examples, least_pairs).items():
        for seed in range(seeds):
            folder = os.path.join(workdir, f"{name.replace('/', '_')}_{seed}")
            cell = config.copy_and_resolve_references()
            cell.seed, cell.data.leave_out = seed, f"{name}/"
            path = os.path.join(folder, RESULT_FILE)
            if not os.path.exists(path):
                if not train(cell, folder):
                    sys.exit("stopped; the same command goes on from here")
                found = judge(cell, folder, [examples[index] for index in indices])
                writers.write_atomically(path, json.dumps({"accuracy": found, "pairs": len(indices)}) + "\n")
            with open(path, encoding="utf-8") as file:
                accuracy.setdefault(name, []).append(json.load(file)["accuracy"])
    return accuracy


def row(label, accuracy):
    """A row in Markdown: the accuracy for each event, mean over seeds, and the mean over events."""
    cells = [f"{np.mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})" for values in accuracy.values()]
    return f"| {label} | {' | '.join(cells)} | {np.mean([np.mean(values) for values in accuracy.values()]):.3f} |"


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; fields are set as --config.<field>=<value>")
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    options = {name: flags.FLAGS[name].value for name in ("workdir", "seeds", "least_pairs")}
    try:
        accuracy = run(flags.FLAGS.config, **options)
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"leave_event_out.py: {error}")
    print(f"| config | {' | '.join(map(os.path.basename, accuracy))} | mean |")
    print(row(os.path.basename(os.path.abspath(options["workdir"])), accuracy))


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", os.path.join(ROOT, "configs", "wider_blur.py"), "The config to judge.")
    flags.DEFINE_string("workdir", "runs/leave_event_out", "Where the runs go; its last part names the row.")
    flags.DEFINE_integer("seeds", 1, "Seeds of each event.", lower_bound=1)
    flags.DEFINE_integer("least_pairs", 500, "Events with fewer labeled pairs within them are not left out.")
    app.run(main)
