"""Scores a folder or a bucket on all machines of a Ray cluster: score_with_ray.py RUN PICTURES OUTPUT [WORKERS].

PICTURES and OUTPUT are folders or addresses (s3://, gs://); OUTPUT gets Parquet files. Every machine needs
blur_jax[ray].
"""

import sys

import numpy as np
import ray

import blur_jax


class Score:
    """Loads the scorer once in each worker; then gets batches of files."""

    def __init__(self, run: str) -> None:
        self._scorer = blur_jax.load_scorer(run)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Maps {"path", "bytes"} of files to the columns of `python -m blur_jax.score`; larger blur is blurrier."""
        pairs = ((content, None) for content in batch["bytes"])
        scored = [result for _, result in self._scorer.score_each(pairs)]
        blur = np.array([np.nan if one.blur is None else one.blur for one in scored], np.float32)
        status = ["ok" if one.error is None else "failed" for one in scored]
        reason = [one.error or "" for one in scored]
        return {"name": batch["path"], "status": status, "reason": reason, **self._scorer.columns(blur)}


def main(run: str, pictures: str, output: str, workers: int = 1) -> None:
    """Scores all files of `pictures`; `workers` is the number of processes that hold a scorer."""
    files = ray.data.read_binary_files(pictures, include_paths=True)
    scored = files.map_batches(Score, fn_constructor_args=[run], batch_size=64, concurrency=workers)
    scored.write_parquet(output)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
