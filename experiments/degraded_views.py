"""Which part of the degraded view teaches? Distillation with one kind of degradation at a time.

    python -m experiments.degraded_views --config.data.manual_dir=LISTS --far=PHOTOS --workers=2

Trains the config of experiments/label_efficiency.py on labels alone, then with distillation into pictures that are
blurred, resampled, noisy, saved as JPEG, all of this, or left as they are; and into resampled pictures each with a draw
of its own, instead of one draw for all pictures that are compared. Near and far are those of that experiment. Writes
`degraded_views.md` to the workdir.
"""

from collections.abc import Mapping
from functools import partial

import ml_collections
import numpy as np
from absl import flags

from blur_jax.metrics import bootstrap
from blur_jax.metrics.interval import interval_text
from experiments import command, grid, label_efficiency, ranked, tables
from experiments.label_efficiency_summary import over_seeds

_OPTICAL = ("defocus", "motion", "gaussian", "anisotropic")
_NO_BLUR = {"families": ("gaussian",), "rms_min": 1e-4, "rms_max": 1e-4}  # A PSF of one pixel.
_NOISE, _JPEG = {"noise_max": 0.02}, {"jpeg_min_quality": 70}
# Arm -> fields of config.degradation; what is not named is off. Blur is as strong as the config's resampling.
VIEWS = {
    "no degradation": _NO_BLUR,
    "blur": {"families": _OPTICAL},
    "noise": _NO_BLUR | _NOISE,
    "JPEG": _NO_BLUR | _JPEG,
    "resampling": {"families": ("downup",)},
    "all": {"families": (*_OPTICAL, "downup")} | _NOISE | _JPEG,
}
ALONE, OWN_DRAWS = "labels alone", "resampling, a draw for each picture"


def arm_config(config: ml_collections.ConfigDict, arm: str, seed: int) -> ml_collections.ConfigDict:
    """Returns the config of one run; `config` is that of experiments/configs/label_efficiency.py."""
    config = label_efficiency.cell_config(config, ("none" if arm == ALONE else "distillation", 1, seed), 1)
    config.degradation.update(noise_max=0.0, jpeg_min_quality=None)
    config.degradation.update(VIEWS.get(arm, VIEWS["resampling"]))
    config.consistency.share_degradation = arm != OWN_DRAWS
    return config


def table(metrics: Mapping[str, Mapping[tuple[str, int], dict]], seeds: int) -> str:
    """Returns AUC of each arm on each axis and its gain over labels alone, over seeds and faces, paired.

    Args:
        metrics: {axis: {(arm, seed): what `ranked.headlines` returns}}.
        seeds: number of seeds.
    """

    def auc(found: Mapping, arm: str) -> np.ndarray:
        return np.array([found[arm, seed]["mean"]["auc"] for seed in range(seeds)])

    rows = []
    for arm in (ALONE, *VIEWS, OWN_DRAWS):
        row = [arm]
        for found in metrics.values():
            ours, alone = auc(found, arm), auc(found, ALONE)
            row.append(interval_text(bootstrap.interval(over_seeds(ours))))
            gain = bootstrap.interval(over_seeds(ours - alone))
            row.append("" if arm == ALONE else interval_text(gain, "+"))
        rows.append(row)
    return tables.markdown(["degraded view", *(name for axis in metrics for name in (f"{axis}, AUC", "gain"))], rows)


def run(config: ml_collections.ConfigDict, workdir: str, far: str | None, seeds: int, workers: int) -> None:
    """Makes the runs that have not been made and prints the table.

    Args:
        config: of a run; seed, weights and degradation are set here.
        workdir: where runs and results go.
        far: a folder of ranked pictures of another kind; None measures near alone.
        seeds: runs of each arm.
        workers: runs at a time.

    Raises:
        ValueError, OSError: of the data, or as `grid.rows`.
    """
    ranked.prepare(config.data)
    of_axes = {"near": config.data} | ({} if far is None else {"far": label_efficiency.far_data(config, far)})
    read = partial(label_efficiency.read, far=of_axes["far"].to_dict() if far is not None else None)
    arms = [(arm, seed) for seed in range(seeds) for arm in (ALONE, *VIEWS, OWN_DRAWS)]
    names = {(arm, seed): f"{arm.replace(',', '').replace(' ', '_')}_{seed}" for arm, seed in arms}
    runs = {names[cell]: grid.Run(arm_config(config, *cell), read) for cell in arms}
    found = grid.rows(runs, workdir=workdir, workers=workers)
    metrics = {}
    for axis, of_axis in of_axes.items():
        splits = ranked.open_splits(of_axis)
        resamples = config.evaluation.resamples
        metrics[axis] = {
            cell: ranked.headlines(found[name][axis], splits, resamples=resamples) for cell, name in names.items()
        }
    title = "Size-matched AUC by what is done to the pictures that learn from the fitted head"
    tables.publish(workdir, "degraded_views", {title: table(metrics, seeds)})


if __name__ == "__main__":
    command.define_config("label_efficiency")
    command.define_workdir("runs/degraded_views")
    command.define_grid(seeds=3)
    flags.DEFINE_string("far", None, "A folder of ranked pictures of another kind, with ranked.csv.")
    command.main(run)
