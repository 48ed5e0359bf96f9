"""Tests and times the project on a GPU, in under ten minutes, and prints what is worth committing as Markdown.

    pip install -e ".[dev,peers]" "jax[cuda13]"
    python -m benchmarks.gpu > gpu.md

Each command has a time limit, so that a slow one does not use up rented time. The tests are those of the core: data,
losses, network and step. Next come the steps of two networks against PyTorch, in float32 and bfloat16, at batches that
fill a GPU. The dry run prints the memory that the compiler plans, at the demo's batch in docs/topologies.json.
"""

import datetime
import subprocess
import sys
import time

from absl import app

from blur_jax.runs import provenance

TESTS = (
    *("tests/data/augmentation_test.py", "tests/data/convolution_test.py", "tests/data/degradations_test.py"),
    *("tests/models", "tests/train/losses_test.py", "tests/train/step_test.py"),
)
_STEP = ("-m", "benchmarks.peers.train_step")
_DRY_RUN = ("launch.py", "--mode=dry_run")
_BFLOAT16 = "--config.model.dtype=bfloat16"
_DEMO = ("--config=configs/default.py", "--config.batch.labeled=256", "--config.batch.unlabeled=256")
_RESNET = (*_DEMO, "--config.model.backbone=resnet18", "--config.data.image_size=112")

# {title: (limit in seconds, arguments of Python)}; together, less than ten minutes.
COMMANDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "Tests of the core": (200, ("-m", "pytest", "-q", "-n", "4", *TESTS)),
    "Demo's step, float32": (75, (*_STEP, *_DEMO)),
    "Demo's step, bfloat16": (75, (*_STEP, *_DEMO, _BFLOAT16)),
    "ResNet-18, 112 px, float32": (75, (*_STEP, *_RESNET)),
    "ResNet-18, 112 px, bfloat16": (75, (*_STEP, *_RESNET, _BFLOAT16)),
    "Memory and speed of the demo": (90, _DRY_RUN),
}


def run(limit: int, arguments: tuple[str, ...]) -> str:
    """Runs Python with these arguments; returns a Markdown block with the command, its output, status and seconds."""
    command, began = [sys.executable, *arguments], time.monotonic()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit)
        output, status = done.stdout, f"exit status {done.returncode}"
    except subprocess.TimeoutExpired as error:
        output, status = (error.stdout or b"").decode(errors="replace"), f"stopped after {limit} s"
    lines = [f"$ python {' '.join(arguments)}", output.rstrip(), f"({status}, {time.monotonic() - began:.0f} s)"]
    return "\n".join(["```", *lines, "```"])


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
    print(f"Commit {provenance.commit()}, {datetime.date.today()}")
    for title, (limit, arguments) in COMMANDS.items():
        print(f"\n## {title}\n\n{run(limit, arguments)}", flush=True)


if __name__ == "__main__":
    app.run(main)
