"""Devices that exist only for the compiler: programs are compiled for chips that this machine does not have."""

import importlib.util
import os
from typing import Any

import jax
from jax.experimental import topologies

from blur_jax.data.untrusted import reason
from blur_jax.runs import distributed
from blur_jax.runs.chips import CHIPS, Chip, Topology

# libtpu looks for TPUs on this host. It must neither wait for a cloud's metadata server nor for another process that
# has loaded it: without TPUs, there is nothing to share.
_ENVIRONMENT = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}
_WHEELS = {"tpu": ("libtpu",), "cuda": ("jax_cuda13_plugin", "nvidia.cu13")}
# What the compiler needs to know of an H200: CUDA C++ Programming Guide, "Compute Capabilities", 9.0; NVIDIA H200 data
# sheet. The cuDNN version only has to be one that XLA accepts.
_TARGET = """
gpu_device_info {{
  name: "NVIDIA {name}"
  cuda_compute_capability {{ major: 9 }}
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  memory_bandwidth: {bandwidth:.0f}
  device_memory_size: {memory}
  l2_cache_size: 52428800
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  runtime_version: "13.0.0"
  driver_version: "13.0.0"
  dnn_version: "9.12.0"
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 12 }}
device_description_str: "NVIDIA {name}"
"""


def open_topology(topology: Topology) -> list[jax.Device]:
    """Returns a topology's devices, which only compile; call it before JAX is used, in a process of its own.

    JAX itself then uses the CPU, without its cache of compiled programs, which cannot read back these.

    Raises:
        ValueError: the compiler's packages are not installed, or the compiler does not know the shape.
    """
    chip, config = CHIPS[topology.chip], jax.config
    missing = [name for name in _WHEELS[chip.platform] if not _is_installed(name)]
    if missing:
        raise ValueError(
            f"--topology={topology} needs the compiler for {topology.chip} ({', '.join(missing)}); run: pip install"
            ' -e ".[topology]", best in a virtual environment of its own'
        )
    config.update("jax_platforms", "cpu")
    config.update("jax_enable_compilation_cache", False)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if chip.platform == "cuda":
        # Without a GPU, no kernels can be timed.
        options = f"--xla_gpu_cuda_data_dir={_cuda_folder()} --xla_gpu_autotune_level=0"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {options}".strip()
    distributed.open_devices()
    try:
        return list(_describe(topology, chip).devices)
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(f"--topology={topology}: the compiler does not know this shape ({reason(error)})") from error


def _describe(topology: Topology, chip: Chip) -> topologies.TopologyDescription:
    shape = "x".join(map(str, topology.shape))
    if chip.platform == "cuda":
        target = _TARGET.format(name=topology.chip.upper(), bandwidth=chip.bandwidth, memory=chip.memory)
        return topologies.get_topology_desc(platform="cuda", target_config=target, topology=f"1x1x{shape}")
    options: dict[str, Any] = {"num_slices": topology.slices}
    if chip.cores == 2:  # Both cores of a chip are one device, as on v5p by default.
        options["chip_config_name"] = "megacore"
    if topology.shape == (1, 1):
        options["chips_per_host_bounds"] = [1, 1, 1]
    return topologies.get_topology_desc(platform="tpu", topology_name=f"{topology.chip}:{shape}", **options)


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # Of the package that it is in.
        return False


def _cuda_folder() -> str:
    import nvidia.cu13  # ty: ignore[import-not-found]

    return next(iter(nvidia.cu13.__path__))
