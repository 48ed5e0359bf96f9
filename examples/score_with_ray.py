"""Scores a folder or a bucket on all machines of a Ray cluster: score_with_ray.py RUN PICTURES OUTPUT [WORKERS].

PICTURES and OUTPUT are folders or addresses (s3://, gs://); the results are written to OUTPUT as Parquet files. Every
machine needs blur_jax[ray].
"""

import sys

import numpy as np
import ray

import blur_jax


class Score:
    """Loads the scorer once per worker, then scores batches of files."""

    def __init__(self, run: str) -> None:
        self._scorer = blur_jax.load_scorer(run)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray | list[str]]:
        """Maps {"path", "bytes"} of files to the columns of `python -m blur_jax.score`; larger blur is blurrier."""
        pairs = ((content, None) for content in batch["bytes"])
        scored = [result for _, result in self._scorer.score_each(pairs)]
        blur = np.array([np.nan if result.blur is None else result.blur for result in scored], np.float32)
        status = ["ok" if result.error is None else "failed" for result in scored]
        reason = [result.error or "" for result in scored]
        reduction = np.array([np.nan if result.reduction is None else result.reduction for result in scored])
        extra = {"reduction": reduction, "flags": [result.flags or "" for result in scored]}
        return {"name": batch["path"], "status": status, "reason": reason, **self._scorer.columns(blur), **extra}


def bounded(workers: str) -> int:
    """Returns how many workers to start, or exits: Ray would wait forever for CPUs that the cluster does not have.

    A worker keeps one CPU until all pictures are scored, and one more CPU must read and write files.
    """
    if not workers.isdecimal() or int(workers) < 1:
        sys.exit(f"WORKERS must be a whole number of at least 1, not {workers!r}")
    if not ray.is_initialized():
        ray.init()
    cpus, free = (int(resources.get("CPU", 0)) for resources in (ray.cluster_resources(), ray.available_resources()))
    if free < 2:
        sys.exit(
            f"{free} of the cluster's {cpus} CPUs are free, but 2 are needed: one for a worker, one for files; add"
            " machines, wait for other jobs, or score without Ray: python -m blur_jax.score"
        )
    if int(workers) >= free:
        print(f"{workers} workers do not fit: {free} CPUs are free, and files need one; using up to {free - 1}")
    return min(int(workers), free - 1)


def main(run: str, pictures: str, output: str, workers: str = "1") -> None:
    """Scores all files in `pictures` with up to `workers` processes, each with its own scorer."""
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=bounded(workers))
    files = ray.data.read_binary_files(pictures, include_paths=True)
    scored = files.map_batches(Score, fn_constructor_args=[run], batch_size=64, compute=pool)
    scored.write_parquet(output)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
