"""Exports a run's scorer to a file that works without the run, with a model card next to it.

    python -m blur_jax.export --checkpoint=RUN --format=onnx --output=scorer.onnx

Before the file is saved, its scores are compared with the run's. See docs/export.md.
"""

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from typing import Any

from blur_jax.runs import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m blur_jax.export", description=(__doc__ or "").splitlines()[0])
    command_line.add_checkpoint(parser)
    parser.add_argument("--format", required=True, choices=["onnx", "stablehlo", "safetensors"])
    parser.add_argument("--output", required=True, metavar="FILE", help="ends in .onnx, .stablehlo or .safetensors")
    parser.add_argument("--license", default="other", metavar="ID", help="license ID for the model card [other]")
    parser.add_argument("--keep-below", type=float, metavar="T", help="threshold to record instead of the run's own")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    return command_line.run(parser, _export, argv)


def _export(arguments: argparse.Namespace) -> int:
    from blur_jax.export import writing

    writing.check(arguments.output, arguments.format, overwrite=arguments.overwrite)

    from blur_jax.export import graph, metadata
    from blur_jax.runs import checkpoints, distributed, inference, program_cache
    from blur_jax.runs.threshold import Threshold, read_threshold, threshold_path

    program_cache.keep_programs()
    distributed.open_devices()
    saved = checkpoints.find(arguments.checkpoint)
    network, params = checkpoints.load_network(saved)
    exported = graph.Graph(network, params, saved.preprocessing.image_size, saved.calibration)
    fingerprint = checkpoints.fingerprint(params)
    if arguments.keep_below is None:
        threshold = read_threshold(saved.path, checkpoint=fingerprint)
    else:
        threshold = Threshold(arguments.keep_below, "set with blur_jax.export --keep-below", fingerprint, saved.step)
    described = metadata.describe(
        saved, outputs=exported.names, fingerprint=fingerprint, threshold=threshold, license_id=arguments.license
    )
    difference = writing.write(
        exported,
        described,
        functools.partial(inference.make_score(exported.network), distributed.replicate(params)),
        output=arguments.output,
        format=arguments.format,
        metrics=_metrics(threshold_path(saved.path).with_name("metrics.json"), saved.step),
    )
    print(f"{saved.path} -> {', '.join(map(str, writing.paths(arguments.output, arguments.format)))}")
    print(f"outputs {', '.join(exported.names)}; they differ from the run's by at most {difference:.1e}")
    print(f"threshold: {'none' if threshold is None else f'keep if blur < {threshold.keep_below:.6g}'}")
    return 0


def _metrics(path: Any, step: int) -> dict[str, Any] | None:
    """Returns a run's metrics.json if it describes the checkpoint at `step`; a damaged file counts as missing."""
    try:
        metrics = json.loads(path.read_text()) if path.exists() else None
    except ValueError:
        return None
    return metrics if isinstance(metrics, dict) and metrics.get("step") == step else None


if __name__ == "__main__":
    sys.exit(main())
