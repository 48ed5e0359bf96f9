"""Compiles training steps for chips that are not here, and prints a Markdown table of what they would cost.

    python -m benchmarks.topologies --networks=small,wider_blur --topologies=v5e:2x4,cuda:h200:8

Nothing runs on these chips: memory and all-reduced bytes are exact, times are the compiler's estimates. Each row takes
one to several minutes. Needs `pip install -e ".[topology]"`.
"""

import multiprocessing
import time

import ml_collections
from absl import app, flags

from blur_jax.runs import chips, topology
from blur_jax.train import pod
from configs import default, wider_blur

# {network: (backbone; None for configs/wider_blur.py), image side, labeled and unlabeled pairs on each chip}
NETWORKS = {
    "small": ("small", 64, 32),
    "wider_blur": (None, 128, 16),
    "resnet18": ("resnet18", 112, 16),
    "resnet50": ("resnet50", 224, 16),
}
TOPOLOGIES = ("v5e:2x4", "v5e:16x16", "v5p:4x4x4", "v6e:8x8", "cuda:h200:8")
HEADER = (
    *("network", "chips", "pairs per chip", "arguments, temporaries, program (MiB)", "all-reduced bytes"),
    *("GFLOP", "GB accessed", "estimated ms", "images/s per chip", "share of peak", "compiling, CPU s"),
)


def build_config(network: str, count: int) -> ml_collections.ConfigDict:
    backbone, size, pairs = NETWORKS[network]
    config = wider_blur.get_config() if backbone is None else default.get_config()
    if backbone is not None:
        config.model.backbone = backbone
    config.data.image_size = size
    config.batch.labeled = config.batch.unlabeled = pairs * count
    return config


def row(network: str, name: str) -> list[str]:
    """Compiles one step and returns a row of the table; call it in a new process."""
    where = chips.parse(name)
    devices = topology.open_topology(where)
    chip, config = chips.CHIPS[where.chip], build_config(network, where.chips)
    began = time.process_time()
    cost = pod.compile_step(config, devices, chip)
    seconds = time.process_time() - began
    cells = [network, name, f"{NETWORKS[network][2]} + {NETWORKS[network][2]}"]
    cells += [", ".join(f"{part / 2**20:.0f}" for part in (cost.arguments, cost.temporaries, cost.code))]
    cells += [f"{cost.all_reduced:,}"]
    if cost.flops is None or cost.accessed is None or cost.cycles is None or chip.hertz is None:
        cells += [""] * 5
    else:
        step, images = cost.cycles / chip.hertz, 4 * NETWORKS[network][2]
        share = cost.flops / chip.operations / step
        cells += [f"{cost.flops / 1e9:.3g}", f"{cost.accessed / 1e9:.2g}", f"{1e3 * step:.2g}"]
        cells += [f"{images / step:,.0f}", f"{100 * share:.2g}%"]
    return [*cells, f"{seconds:.0f}"]


def main(_: list[str]) -> None:
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    pairs = [(network, name) for network in flags.FLAGS.networks for name in flags.FLAGS.topologies]
    # JAX can open the compiler of only one kind of chip in a process.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for pair in pairs:
            print(f"| {' | '.join(pool.apply(row, pair))} |", flush=True)


if __name__ == "__main__":
    flags.DEFINE_list("networks", list(NETWORKS), "Networks to compile.")
    flags.DEFINE_list("topologies", list(TOPOLOGIES), "Chips to compile for.")
    app.run(main)
