r"""How long JAX and PyTorch train until they order validation pairs equally well, on the same data.

    python -m benchmarks.peers.time_to_accuracy --config=configs/default.py --baseline.model.backbone=resnet18

Three learners take turns in one process, a few steps each: the config in JAX; the same config in PyTorch, as
`expert.Trainer` has it; and a baseline in PyTorch, another config (--baseline, by default configs/default.py). After
each turn the parameters that a run would score with order the validation pairs. Updates and batches are timed, and the
fit of a linear head where the config has one; start-up, compilation and validation are not. A learner stops at the
highest of the accuracies, at the end of its steps, or when it has taken --patience times as long as JAX. The data must
be prepared, as `python launch.py --mode=dry_run` with the same flags does. Needs `pip install -e ".[peers]"`.
"""

import itertools
import os
import time
from collections.abc import Callable, Sequence

import jax
import ml_collections
import numpy as np
import torch
from absl import flags
from ml_collections import config_flags

from benchmarks import timing, train_step
from benchmarks.peers.train_step import choose_device, faster_trainer, wait
from blur_jax.data import batches, splits
from blur_jax.metrics import rank_statistics
from blur_jax.runs import distributed, inference
from blur_jax.train import loop
from blur_jax.train import start as run_start

Curve = list[tuple[int, float, float]]  # (steps, seconds, validation accuracy) after each turn
OURS, SAME, BASELINE = "JAX", "PyTorch", "PyTorch, baseline"


class Learner:
    """A training that can go on step by step; subclasses have `update(batch)`, `wait()` and `score(images)`."""

    def __init__(self, config: ml_collections.ConfigDict, clock: Callable[[], float]) -> None:
        self.config, self.clock, self.curve = config, clock, []
        self.pairs = run_start.open_pairs(config)
        self.model, self.tx = run_start.build(config)
        start = clock()
        self.start = run_start.initial_state(config, self.model, self.tx, self.pairs.labeled)
        self.seconds = clock() - start if config.model.linear_probe_strength is not None else 0.0
        self.batches = loop.make_batches(config, self.pairs, 0)
        rows, self.columns = splits.used_faces(self.pairs.validation)
        self.images = self.pairs.validation.faces.stack(rows)

    def first_batch(self) -> batches.Batch:
        """Returns the batch of the first step, to try and to compile with; the training still gets it."""
        return next(loop.make_batches(self.config, self.pairs, 0))

    def turn(self, steps: int) -> None:
        """Makes some updates, timed, and appends to the curve."""
        start = self.clock()
        for batch in itertools.islice(self.batches, steps):
            self.update(batch)
        self.wait()
        self.seconds += self.clock() - start
        done = steps + (self.curve[-1][0] if self.curve else 0)
        order = self.pairs.validation.labels.astype(np.int64)
        scores = self.score(self.images)[self.columns[order != 0]]
        self.curve.append((done, self.seconds, float(rank_statistics.in_order(*scores.T, order[order != 0]).mean())))


class InJax(Learner):
    """A run of `blur_jax`."""

    def __init__(self, config: ml_collections.ConfigDict, clock: Callable[[], float]) -> None:
        super().__init__(config, clock)
        self.step = loop.make_step(config, self.model, self.tx)
        self.score_images = inference.make_score(self.model)
        jax.block_until_ready(self.step(distributed.replicate(self.start), distributed.shard(self.first_batch())))
        self.state = distributed.replicate(self.start)

    def update(self, batch: batches.Batch) -> None:
        """Makes one update."""
        self.state, _ = self.step(self.state, distributed.shard(batch))

    def wait(self) -> None:
        """Waits for what the device still has to do."""
        jax.block_until_ready(self.state)

    def score(self, images: np.ndarray) -> np.ndarray:
        """Scores uint8 [n, S, S, 3]: float32 [n]."""
        return self.score_images(self.state.scoring_params, images)


class InTorch(Learner):
    """The expert's training in PyTorch."""

    def __init__(self, config: ml_collections.ConfigDict, clock: Callable[[], float]) -> None:
        super().__init__(config, clock)
        self.trainer = faster_trainer(config, self.first_batch(), self.start.params, choose_device())

    def update(self, batch: batches.Batch) -> None:
        """Makes one update."""
        self.trainer.update(batch)

    def wait(self) -> None:
        """Waits for what the device still has to do."""
        wait(self.trainer.device)

    @torch.no_grad()
    def score(self, images: np.ndarray) -> np.ndarray:
        """Scores uint8 [n, S, S, 3]: float32 [n]."""
        trainer = self.trainer
        network = trainer.network if trainer.average is None else trainer.average
        parts = [
            network(torch.from_numpy(part).to(trainer.device).permute(0, 3, 1, 2).float() / 255)
            for part in np.split(images, range(64, len(images), 64))
        ]
        return torch.cat(parts).cpu().numpy()


def run(
    config: ml_collections.ConfigDict,
    baseline: ml_collections.ConfigDict,
    *,
    accuracies: Sequence[float],
    steps: int,
    patience: float,
    cpu: bool = False,
) -> dict[str, Curve]:
    """Prints a table in Markdown, and returns {learner: curve}.

    Args:
        config: of JAX and the first learner in PyTorch.
        baseline: of the second.
        accuracies: of validation, to reach.
        steps: in a turn.
        patience: how many times as long as JAX the others may take.
        cpu: count the CPU seconds of all threads of this process.
    """
    torch.manual_seed(config.seed)
    clock = time.process_time if cpu else time.perf_counter
    learners = {OURS: InJax(config, clock), SAME: InTorch(config, clock), BASELINE: InTorch(baseline, clock)}
    ours = learners[OURS].curve
    unfinished = dict(learners)
    while unfinished:
        for name, learner in list(unfinished.items()):
            learner.turn(steps)
            done, seconds, accuracy = learner.curve[-1]
            print(f"{name}: step {done}, {seconds:.1f} s, validation accuracy {accuracy:.3f}", flush=True)
            is_late = OURS not in unfinished and seconds > patience * ours[-1][1]
            if accuracy >= max(accuracies) or is_late or done + steps > learner.config.steps:
                del unfinished[name]
    curves = {name: learner.curve for name, learner in learners.items()}
    print(f"{'CPU ' if cpu else ''}seconds (steps) to a validation accuracy, and over those of JAX")
    print(table(curves, accuracies))
    return curves


def reached(curve: Curve, accuracy: float) -> tuple[int, float] | None:
    """Returns the steps and the seconds after which an accuracy was first reached; None: never."""
    return next(((steps, seconds) for steps, seconds, found in curve if found >= accuracy), None)


def table(curves: dict[str, Curve], accuracies: Sequence[float]) -> str:
    """Returns a table in Markdown: a row for each accuracy, a column for each learner."""
    lines = [f"| accuracy | {' | '.join(curves)} |", "|---" * (len(curves) + 1) + "|"]
    for accuracy in accuracies:
        ours, cells = reached(curves[OURS], accuracy), []
        for curve in curves.values():
            found = reached(curve, accuracy)
            if found is None:
                steps, seconds, _ = curve[-1]
                best = max(value for *_, value in curve)
                cell, ratio = f"not in {seconds:.1f} ({steps}), at best {best:.3f}", ", over "
            else:
                (steps, seconds), ratio = found, ", "
                cell = f"{seconds:.1f} ({steps})"
            cells.append(cell if curve is curves[OURS] or ours is None else f"{cell}{ratio}{seconds / ours[1]:.2f}")
        lines.append(f"| {accuracy} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs memory of a GPU, too.
    config_flags.DEFINE_config_file("config", train_step.CONFIG, "Config of the run.", lock_config=True)
    config_flags.DEFINE_config_file("baseline", train_step.CONFIG, "Config of the baseline.", lock_config=True)
    flags.DEFINE_list("accuracies", ["0.9", "0.93", "0.95"], "Validation accuracies to reach.")
    flags.DEFINE_integer("steps", 10, "Steps in a turn.", lower_bound=1)
    flags.DEFINE_float("patience", 4.0, "How many times as long as JAX the others may take.", lower_bound=1.0)
    timing.define_cpu()
    options = flags.FLAGS
    timing.main(
        lambda: run(
            options.config,
            options.baseline,
            accuracies=[float(value) for value in options.accuracies],
            steps=options.steps,
            patience=options.patience,
            cpu=options.cpu,
        )
    )
