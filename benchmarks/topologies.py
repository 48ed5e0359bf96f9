"""Compiles training steps for chips that are not here, and writes the table and the figure of docs/pods.md.

    python -m benchmarks.topologies --results=docs/topologies.json --figure=docs/roofline.webp

Nothing runs on these chips: memory and all-reduced bytes are the compiler's results, times are its estimates. A step
takes minutes to compile, so each result is saved in --results at once, and only steps that are not there yet are
compiled; delete a result to measure it again. Needs `pip install -e ".[topology]"`.
"""

import itertools
import json
import multiprocessing
import pathlib
import resource
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import ml_collections
from absl import app, flags

from benchmarks import roofline
from blur_jax.evaluate.figures import to_webp
from blur_jax.runs import chips, run_dir, topology
from blur_jax.train import pod
from configs import default, wider_blur
from experiments import tables

# {network: (backbone; None for configs/wider_blur.py), image side, labeled and unlabeled pairs on each chip}
NETWORKS = {
    "small": ("small", 64, 32),
    "wider_blur": (None, 128, 16),
    "resnet18": ("resnet18", 112, 16),
    "resnet50": ("resnet50", 224, 16),
}
TOPOLOGIES = ("v5e:2x4", "v5e:4x8", "v5e:16x16", "v5p:4x4x4", "v6e:8x8", "cuda:h200:8")
HEADER = (
    *("network", "chips", "pairs per chip", "arguments, temporaries, program (MiB)", "all-reduced bytes"),
    *("GFLOP", "GB accessed", "estimated ms", "images/s per chip", "binds", "share of peak", "compiling, CPU s"),
)
LIMIT = 20 * 60  # CPU seconds for a step.

# A `pod.Cost` as a dictionary with "cpu_seconds", or {"failure": why there is none}.
Result = dict[str, Any]


def build_config(network: str, count: int) -> ml_collections.ConfigDict:
    backbone, size, pairs = NETWORKS[network]
    config = wider_blur.get_config() if backbone is None else default.get_config()
    if backbone is None:
        config.steps = 200  # By default, the config trains for none.
    else:
        config.model.backbone = backbone
    config.data.image_size = size
    config.batch.labeled = config.batch.unlabeled = pairs * count
    return config


def compile_step(network: str, name: str) -> Result:
    """Compiles one step; call it in a new process."""
    where = chips.parse(name)
    devices, config = topology.open_topology(where), build_config(network, where.chips)
    began = time.process_time()
    try:
        cost = pod.compile_step(config, devices, chips.CHIPS[where.chip])
    except pod.TooLargeError as error:
        return {"failure": f"does not fit: {error}"}
    return cost._asdict() | {"cpu_seconds": round(time.process_time() - began)}


def measure(network: str, name: str, limit: int = LIMIT) -> Result:
    """Compiles one step in a new process, since JAX can open the compiler of only one kind of chip in a process.

    `limit` is in CPU seconds.
    """
    before, limits = _children_seconds(), (resource.RLIMIT_CPU, (limit, limit))
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, context, initializer=resource.setrlimit, initargs=limits) as pool:
            return pool.submit(compile_step, network, name).result()
    except BrokenProcessPool:
        used = _children_seconds() - before
        if used < 0.5 * limit:  # The limit and the sum are counted by different clocks.
            return {"failure": f"the compiler crashed after {used:.0f} CPU s"}
        return {"failure": f"not compiled within {limit:,} CPU s"}


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def estimate(network: str, name: str, result: Result) -> pod.Estimate | None:
    """Returns how fast a step would be; None if it was not compiled, or if the compiler does not estimate it."""
    if "failure" in result:
        return None
    where = chips.parse(name)
    return pod.estimate(build_config(network, where.chips), where, _cost(result))


def _cost(result: Result) -> pod.Cost:
    return pod.Cost(**{field: result[field] for field in pod.Cost._fields})


def row(network: str, name: str, result: Result) -> list[str]:
    """Returns a row of the table."""
    pairs = NETWORKS[network][2]
    cells = [network, name, f"{pairs} + {pairs}"]
    if "failure" in result:
        return [*cells, result["failure"], *[""] * (len(HEADER) - 4)]
    cost = _cost(result)
    code = f"{cost.code / 2**20:.0f}" if cost.code else "not counted"  # As for GPUs.
    sizes = f"{cost.arguments / 2**20:.0f}, {cost.temporaries / 2**20:,.0f}, {code}"
    cells += [sizes, f"{cost.all_reduced:,}"]
    if (speed := estimate(network, name, result)) is None:
        cells += [""] * 6
    else:
        cells += [f"{speed.flops / 1e9:,.1f}", f"{speed.accessed / 1e9:.2f}", f"{1e3 * speed.seconds:.2f}"]
        cells += [f"{speed.images:,.0f}", speed.binding, f"{100 * speed.share:.1f}%"]
    return [*cells, f"{result['cpu_seconds']}"]


def points(results: Mapping[str, Mapping[str, Result]]) -> list[roofline.Point]:
    """Returns a point for each network and kind of chip whose speed the compiler estimates."""
    found = {}  # The topologies of one kind of chip differ only in the all-reduce.
    for network, name in _measured(results):
        if (speed := estimate(network, name, results[network][name])) is not None:
            chip = chips.parse(name).chip
            point = roofline.Point(network, chip, speed.flops / speed.accessed, speed.flops / speed.seconds)
            found[network, chip] = point
    return list(found.values())


def _measured(results: Mapping[str, Mapping[str, Result]]) -> list[tuple[str, str]]:
    """Returns (network, topology) of all results, in the order of the table."""
    return [pair for pair in itertools.product(NETWORKS, TOPOLOGIES) if pair[1] in results.get(pair[0], {})]


def run(path: pathlib.Path, networks: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Result]]:
    """Returns all results, {network: {topology: result}}, after it has measured and saved those that were missing."""
    results = json.loads(path.read_text()) if path.exists() else {}
    for network, name in itertools.product(networks, names):
        if name not in results.setdefault(network, {}):
            results[network][name] = measure(network, name)
            run_dir.write_atomically(path, json.dumps(results, indent=1) + "\n")
    return results


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
    for flag, known in {"networks": NETWORKS, "topologies": TOPOLOGIES}.items():
        if unknown := [name for name in flags.FLAGS[flag].value if name not in known]:
            raise app.UsageError(f"--{flag}: {unknown[0]} is unknown; choose from: {', '.join(known)}")
    results = run(pathlib.Path(flags.FLAGS.results), flags.FLAGS.networks, flags.FLAGS.topologies)
    rows = [row(network, name, results[network][name]) for network, name in _measured(results)]
    print(tables.markdown(HEADER, rows))
    if flags.FLAGS.figure:
        pathlib.Path(flags.FLAGS.figure).write_bytes(to_webp(roofline.draw(points(results)), quality=80))


if __name__ == "__main__":
    flags.DEFINE_string("results", None, "JSON file with the results so far; new ones are added to it.", required=True)
    flags.DEFINE_string("figure", None, "WebP file to draw the roofline in.")
    flags.DEFINE_list("networks", list(NETWORKS), "Networks to compile.")
    flags.DEFINE_list("topologies", list(TOPOLOGIES), "Chips to compile for.")
    app.run(main)
