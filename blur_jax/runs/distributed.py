"""Runs code on several devices and processes; only this file handles `jax.pmap`, process 0 and preemption.

A replica is one device. Code is written for one replica and communicates with other replicas through collectives over
`AXIS`. Parameters and state are replicated: plain pytrees without a leading axis. A batch is sharded: its leading axis
indexes the local replicas.
"""

import concurrent.futures
import contextlib
import json
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from blur_jax.data.untrusted import excerpt, reason
from blur_jax.runs import forks

AXIS = "replica"
_CPU_REPLICAS = 4  # docs/performance.md compares this with other values.
_MESSAGE_BYTES = 2048
_SHOWN_DIFFERENCES = 8
_MEETING_SECONDS = 5
_JOIN_SECONDS = 90  # Time for all processes to start; also stated in a launch.py message.
_LOST_SECONDS = 60  # All processes end once one has been silent for this long.
# Words in errors from JAX's runtimes and collective libraries when another process has stopped; their types vary.
_LOST = (
    *("gloo", "nccl", "coordination service", "heartbeat", "barrier", "deadline_exceeded"),
    *("socket closed", "connection reset", "connection closed", "connection refused"),
)


def divide_cpu(*sizes: int) -> None:
    """Splits the CPU into several JAX devices, whose number divides all `sizes`, unless JAX_NUM_CPU_DEVICES is set.

    A replica's share of a batch fits a core's caches better than the whole batch, and no core is idle. The number of
    devices does not depend on the machine, so the results do not either. Has no effect if JAX is already in use.
    """
    unset = jax.config.jax_num_cpu_devices < 0  # ty: ignore[missing-attribute]
    if unset and "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # JAX is already in use.
            jax.config.update("jax_num_cpu_devices", math.gcd(_CPU_REPLICAS, *sizes))


def open_devices() -> None:
    """Opens JAX's devices for a command that computes in float32; call it after `divide_cpu` or `join`.

    Raises:
        ValueError: JAX_PLATFORMS asks for devices that this machine does not have.
        RuntimeError: see `forks.check`.
    """
    forks.check()
    config: Any = jax.config
    if config.jax_enable_x64:
        print("JAX_ENABLE_X64 is ignored: blur_jax computes in float32", file=sys.stderr)
        config.update("jax_enable_x64", False)
    try:
        jax.devices()
    except Exception as error:  # RuntimeError, or AssertionError without a message.
        raise ValueError(
            f"JAX_PLATFORMS={config.jax_platforms}: JAX cannot open these devices ({reason(error)}); unset"
            " JAX_PLATFORMS to use any device on this machine, or install JAX for this platform (see requirements.txt)"
        ) from error


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the other processes in a run; call this before any other JAX function.

    `coordinator` is the HOST:PORT of process 0, and `process` is the number of this process. On Cloud TPU, Slurm and
    Open MPI, JAX detects arguments that are None.

    Raises:
        ValueError: the coordinator's host does not exist, or JAX cannot detect the arguments or reach the processes.
    """
    try:
        if coordinator is not None:
            host, _, port = coordinator.rpartition(":")
            socket.getaddrinfo(host.strip("[]"), int(port))  # JAX would spend minutes looking for the host.
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=_JOIN_SECONDS,
            heartbeat_timeout_seconds=_LOST_SECONDS,
            shutdown_timeout_seconds=_LOST_SECONDS,
        )
    except (ValueError, OSError, RuntimeError) as error:
        if coordinator is None:
            raise ValueError(
                f"--distributed: JAX cannot find the other processes here ({reason(error)}); outside Cloud TPU, Slurm"
                " and Open MPI, pass --coordinator, --processes and --process"
            ) from error
        raise ValueError(
            f"--coordinator={coordinator}: cannot join the other processes there ({reason(error)}); pass the HOST:PORT"
            " of process 0, with a free port"
        ) from error


def is_lost(error: Exception) -> bool:
    """Returns whether an error in a multi-process run means that another process has stopped."""
    return any(word in str(error).lower() for word in _LOST)


def pmap(
    function: Callable, *, donate_state: bool = False, devices: Sequence[jax.Device] | None = None
) -> jax.stages.Wrapped:
    """Compiles `function`, of replicated state and a replica's share of a batch, to run on all devices.

    With `donate_state`, the results may reuse the state's memory. `devices` may be those of `topology.open_topology`.
    """
    donated = (0,) if donate_state else ()
    return jax.pmap(function, axis_name=AXIS, in_axes=(None, 0), out_axes=None, donate_argnums=donated, devices=devices)


def replicate(tree: Any) -> Any:
    return pmap(lambda tree, _: tree)(tree, np.zeros(jax.local_device_count(), np.int8))


def shard(batch: Any) -> Any:
    """Splits this process's share of a batch over its devices: [n, ...] -> [devices, n / devices, ...]."""
    replicas = jax.local_device_count()
    return jax.tree.map(lambda x: x.reshape(replicas, x.shape[0] // replicas, *x.shape[1:]), batch)


def check_batch_size(size: int, field: str, devices: int) -> None:
    """Raises ValueError if a global batch cannot be split evenly over all devices; `field` is the config field."""
    if size <= 0 or size % devices:
        raise ValueError(
            f"config.{field}={size} must be a positive multiple of the {devices} devices ({jax.process_count()}"
            f" process(es)); for example, set it to {max(1, round(size / devices)) * devices}"
        )


def example_keys(key: jax.Array, count: int) -> jax.Array:
    """Returns one key for each of this replica's `count` examples; an example's key does not depend on the devices."""
    indices = jax.lax.axis_index(AXIS) * count + jnp.arange(count)
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)


def psum(tree: Any) -> Any:
    return jax.lax.psum(tree, AXIS)


def all_gather(x: jax.Array) -> jax.Array:
    """Concatenates [n, ...] from every replica into [replicas * n, ...], in global batch order."""
    return jax.lax.all_gather(x, AXIS, tiled=True)


def is_process_zero() -> bool:
    return jax.process_index() == 0


def say(text: str) -> None:
    if is_process_zero():
        print(text, flush=True)


def everywhere(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Calls a function on every process and returns its result; if it fails on one process, every process raises.

    Without this, the others would hang in their next collective, waiting for the failed process. All processes must
    call this at the same point; the function may take any amount of time but must not use collectives. The failing
    process raises its own error; the others raise a ValueError with that process's number and error.
    """
    if jax.process_count() == 1:
        return function(*args, **kwargs)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(function, *args, **kwargs)
        done = False
        while not done:  # Collectives time out if a process is busy, so all processes synchronize every few seconds.
            concurrent.futures.wait([future], timeout=_MEETING_SECONDS)
            done = np.all(multihost_utils.process_allgather(np.int32(future.done())))
    error = future.exception()
    text = "" if error is None else f"{type(error).__name__}: {error}"
    encoded = np.frombuffer(text.encode(errors="replace")[:_MESSAGE_BYTES].ljust(_MESSAGE_BYTES, b"\0"), np.uint8)
    messages = [row.tobytes().rstrip(b"\0") for row in multihost_utils.process_allgather(encoded)]
    if error is not None:
        raise error
    for index, message in enumerate(messages):
        if message:
            raise ValueError(f"process {index} failed: {message.decode(errors='replace')}")
    return future.result()


def on_process_zero(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Calls a function on process 0 and returns its JSON result on all processes; raises like `everywhere`."""
    return share(everywhere(lambda: function(*args, **kwargs) if is_process_zero() else None))


class DisagreementError(ValueError):
    """The processes in a run differ in a value that must match across all of them."""


def check_agreement(**values: Any) -> None:
    """Checks that JSON-serializable values match across all processes, which must call this together.

    Raises:
        DisagreementError: a value differs between processes; all of them raise the same error.
    """
    if jax.process_count() == 1:
        return
    encoded = np.frombuffer(json.dumps(values).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.int32(len(encoded)))
    padded = np.pad(encoded, (0, np.max(sizes) - len(encoded)))
    rows = multihost_utils.process_allgather(padded)
    everyone = [json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes)]
    different = [
        f"{name} is {excerpt(everyone[0].get(name))} on process 0, {excerpt(theirs.get(name))} on process {index}"
        for index, theirs in enumerate(everyone)
        for name in sorted(everyone[0].keys() | theirs.keys())
        if theirs.get(name) != everyone[0].get(name)
    ]
    if different:
        more = f"; and {len(different) - _SHOWN_DIFFERENCES} more" * (len(different) > _SHOWN_DIFFERENCES)
        raise DisagreementError(
            f"the processes in this run differ: {'; '.join(different[:_SHOWN_DIFFERENCES])}{more}; use the same"
            " command, config, data and software on all hosts"
        )


def share(value: Any) -> Any:
    """Returns process 0's JSON-serializable value on every process; ignores the other processes' values."""
    if jax.process_count() == 1:
        return value
    payload = np.frombuffer(json.dumps(value if is_process_zero() else None).encode(), np.uint8)
    length = int(broadcast(np.int32(len(payload))))
    return json.loads(broadcast(np.resize(payload, length)).tobytes())


def broadcast(tree: Any) -> Any:
    """Returns process 0's pytree of NumPy arrays on every process; all must pass arrays of the same shapes."""
    return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree)) if jax.process_count() > 1 else tree


class Preemption:
    """Detects SIGTERM (a machine is about to be preempted) and Ctrl-C on all processes at the same step.

    It starts listening on the first call to `reached`. Before that, while the first step compiles, a run has nothing to
    save, so both signals end the process as usual.
    """

    def __enter__(self) -> "Preemption":
        self.reason = "SIGTERM"  # For messages; valid once `reached` has returned True.
        self._asked = False
        self._alone = jax.process_count() == 1
        self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            handlers, wakeup = self._before
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if number == signal.SIGINT:
            self.reason = "Ctrl-C"
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.write(2, b"\nsaving and stopping after this step; press Ctrl-C again to stop immediately\n")
            if not self._alone:
                signal.raise_signal(signal.SIGTERM)

    def reached(self, step: int) -> bool:
        """Returns whether to save and stop after `step`."""
        if self._before is None:
            # With several processes, JAX's coordinator catches SIGTERM and makes all of them stop at the same step.
            numbers = [signal.SIGTERM] if self._alone else []
            if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # Shells ignore it for background jobs.
                numbers.append(signal.SIGINT)
            handlers = {number: signal.signal(number, self._ask) for number in numbers}
            self._before = (handlers, signal.set_wakeup_fd(-1))  # Both were set by `signals.watch`.
        return self._asked if self._alone else multihost_utils.reached_preemption_sync_point(step)
