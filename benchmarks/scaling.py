"""Weak scaling of the train step: more devices, each with the same share of the batch, and what that costs.

    python -m benchmarks.scaling --pairs=8 --repeats=7

Measures 1, 2, 4 and 8 virtual devices of one process, and two processes of one device each. All of them share the cores
of one machine, so the step gets longer with each; what should stay flat is the CPU time for each device, and the share
of it that is not the model: the collectives (against the same step with `psum` replaced by the identity), and handing
state and batch over (a step without any mathematics). It ends with what an all-reduce would take on a pod, on paper.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import portpicker
from absl import flags

from benchmarks import timing
from benchmarks.scaling_child import ALONE, WHOLE

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAYOUTS = ((1, 1), (1, 2), (1, 4), (1, 8), (2, 1))  # (processes, devices of each)
BANDWIDTHS = {"100 Gbit/s Ethernet": 12.5e9, "200 GB/s links": 200e9}  # Bytes per second out of one device.


def all_reduce_seconds(size: float, devices: int, bandwidth: float) -> float:
    """Returns what a ring all-reduce takes: each device sends 2 (n - 1) / n of the bytes.

    Args:
        size: bytes to reduce.
        devices: how many there are.
        bandwidth: bytes per second out of each device.
    """
    return 2 * (devices - 1) / devices * size / bandwidth


def start(processes: int, devices: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Measures one layout in processes of its own; returns `scaling_child.measure` of process 0.

    Raises:
        RuntimeError: a process failed; says how.
    """
    options = {**options, "processes": processes, "coordinator": f"localhost:{portpicker.pick_unused_port()}"}
    environment = os.environ | {
        "PYTHONPATH": ROOT,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    started = []
    for process in range(processes):
        command = [sys.executable, "-m", "benchmarks.scaling_child", json.dumps({**options, "process": process})]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True))
    outputs = [process.communicate() for process in started]
    for process, (_, error) in zip(started, outputs):
        if process.returncode:
            raise RuntimeError(f"{processes} x {devices} devices failed: {error}")
    return json.loads(outputs[0][0].splitlines()[-1])


def run(options: Mapping[str, Any]) -> None:
    """Prints a line for each layout, and the estimate.

    Args:
        options: pairs, image_size, backbone, repeats.
    """
    pairs, size = options["pairs"], options["image_size"]
    print(f"{options['backbone']}, {pairs} labeled and {pairs} unlabeled pairs of {size} px on each device")
    print("processes x devices   step s   CPU s a device   alone   collectives   handed over   all-reduced bytes")
    for processes, devices in LAYOUTS:
        found = start(processes, devices, options)
        whole, alone = (found["cpu"][name] / devices for name in (WHOLE, ALONE))
        print(
            f"{f'{processes} x {devices}':<19}{found['seconds'][WHOLE]:9.3f}{whole:17.3f}{alone:8.3f}"
            f"{100 * found['collectives']:13.1f}%{100 * found['handed_over']:13.1f}%{found['all_reduced_bytes']:20,}",
            flush=True,
        )
    print(f"the parameters that are trained take {found['trained_bytes']:,} bytes")
    for name, bandwidth in BANDWIDTHS.items():
        taken = ", ".join(
            f"{1e3 * all_reduce_seconds(found['trained_bytes'], devices, bandwidth):.3g} ms on {devices}"
            for devices in (8, 64, 256)
        )
        print(f"on paper, {name}: {taken} devices")


if __name__ == "__main__":
    flags.DEFINE_integer("pairs", 8, "Labeled pairs, and unlabeled ones, of each device.", lower_bound=1)
    flags.DEFINE_integer("image_size", 64, "Side of the images, in pixels.", lower_bound=16)
    flags.DEFINE_string("backbone", "small", "Of the network.")
    timing.define_repeats(7)
    names = ("pairs", "image_size", "backbone", "repeats")
    timing.main(lambda: run({name: flags.FLAGS[name].value for name in names}))
