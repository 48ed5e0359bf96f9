"""Many devices, many processes: the only file that knows `jax.pmap`, process 0 and preemption.

A replica is one device. Code is written for one replica and speaks to the others through collectives over `AXIS`.
Parameters and state are replicated, plain pytrees without a leading axis; a batch is sharded, with a leading axis of
local replicas.
"""

import concurrent.futures
import contextlib
import json
import math
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

AXIS = "replica"
_CPU_REPLICAS = 4  # docs/performance.md compares numbers.
_MESSAGE_BYTES = 2048
_MEETING_SECONDS = 5
_JOIN_SECONDS = 90  # That all processes may take to start.
_LOST_SECONDS = 60  # After which a process that gives no sign of life is taken for gone, and all others end.
# What JAX's runtimes and collective libraries say when another process has stopped; the exceptions have any type.
_LOST = (
    *("gloo", "nccl", "coordination service", "heartbeat", "barrier", "deadline_exceeded"),
    *("socket closed", "connection reset", "connection closed", "connection refused"),
)


def divide_cpu(*sizes: int) -> None:
    """Splits the CPU into several JAX devices, unless JAX_NUM_CPU_DEVICES says into how many; for commands.

    A replica's share of a batch fits a core's caches better than the whole, and replicas leave no core idle. Their
    number does not depend on the machine, so that results do not. Once JAX has been used, nothing changes.

    Args:
        sizes: what their number must divide.
    """
    if jax.config.jax_num_cpu_devices < 0 and "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # JAX has been used.
            jax.config.update("jax_num_cpu_devices", math.gcd(_CPU_REPLICAS, *sizes))


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the other processes of a run; must be called before anything else of JAX.

    Args:
        coordinator: HOST:PORT of process 0. None: JAX finds all three by itself, on Cloud TPU, Slurm and Open MPI.
        processes: how many there are.
        process: which one this is, from 0 on.
    """
    jax.distributed.initialize(
        coordinator,
        processes,
        process,
        initialization_timeout=_JOIN_SECONDS,
        heartbeat_timeout_seconds=_LOST_SECONDS,
        shutdown_timeout_seconds=_LOST_SECONDS,
    )


def is_lost(error: Exception) -> bool:
    """Returns whether an error, in a run of several processes, means that another has stopped."""
    return any(word in str(error).lower() for word in _LOST)


# --- mapping a function over replicas ---


def pmap(function: Callable, *, donate_state: bool = False) -> Callable:
    """Compiles `function(state, batch)` of one replica to run on all devices at once.

    Args:
        function: from a replicated pytree and this replica's share of a batch to a replicated pytree.
        donate_state: whether the state's memory is given up to the result.
    """
    donated = (0,) if donate_state else ()
    return jax.pmap(function, axis_name=AXIS, in_axes=(None, 0), out_axes=None, donate_argnums=donated)


def replicate(tree: Any) -> Any:
    """Copies a pytree of arrays to every device, once, so that no call has to."""
    return pmap(lambda tree, _: tree)(tree, np.zeros(jax.local_device_count(), np.int8))


def shard(batch: Any) -> Any:
    """Splits this process's share of a batch over its devices: [n, ...] -> [devices, n / devices, ...]."""
    replicas = jax.local_device_count()
    return jax.tree.map(lambda x: x.reshape(replicas, x.shape[0] // replicas, *x.shape[1:]), batch)


def check_batch_size(size: int, field: str) -> None:
    """Raises ValueError when a global batch does not divide over all devices; `field` names the setting."""
    if size <= 0 or size % jax.device_count():
        raise ValueError(
            f"config.{field}={size} must be a positive multiple of the {jax.device_count()} devices"
            f" ({jax.process_count()} process(es)); set it to e.g."
            f" {max(1, round(size / jax.device_count())) * jax.device_count()}"
        )


# --- inside a mapped function ---


def example_keys(key: jax.Array, count: int) -> jax.Array:
    """Returns one key for each of this replica's `count` examples, by their place in the global batch.

    So an example meets the same randomness on any number of devices.
    """
    indices = jax.lax.axis_index(AXIS) * count + jnp.arange(count)
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)


def psum(tree: Any) -> Any:
    """Sums over all replicas of all processes."""
    return jax.lax.psum(tree, AXIS)


def all_gather(x: jax.Array) -> jax.Array:
    """Concatenates [n, ...] of every replica to [replicas * n, ...], in the order of the global batch."""
    return jax.lax.all_gather(x, AXIS, tiled=True)


# --- between processes ---


def is_process_zero() -> bool:
    """Returns whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Prints a line, on process 0 only."""
    if is_process_zero():
        print(text, flush=True)


def everywhere(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Calls a function on every process and returns its result; when it fails on one, every process raises.

    Without this the others would wait in their next collective for a process that has stopped. All processes must call
    this at the same point, with a function that makes no collectives itself, however long it takes.

    Raises:
        Exception: what the function raised, on the process where it did.
        ValueError: naming the process and its error, on the others.
    """
    if jax.process_count() == 1:
        return function(*args, **kwargs)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(function, *args, **kwargs)
        # Collectives give up on a process that is busy for long, so all meet every few seconds.
        while not _all_done(future):
            pass
    error = future.exception()
    messages = _gather_texts("" if error is None else f"{type(error).__name__}: {error}")
    if error is not None:
        raise error
    for index, message in enumerate(messages):
        if message:
            raise ValueError(f"process {index} failed: {message}")
    return future.result()


def on_process_zero(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Calls a function on process 0 and returns its result, JSON-serializable, on every process.

    Raises:
        Exception, ValueError: as `everywhere`.
    """
    return share(everywhere(lambda: function(*args, **kwargs) if is_process_zero() else None))


def share(value: Any) -> Any:
    """Returns process 0's value, JSON-serializable, on every process; those of the others do not count."""
    if jax.process_count() == 1:
        return value
    payload = np.frombuffer(json.dumps(value if is_process_zero() else None).encode(), np.uint8)
    length = int(broadcast(np.int32(len(payload))))
    return json.loads(broadcast(np.resize(payload, length)).tobytes())


def broadcast(tree: Any) -> Any:
    """Returns process 0's pytree of NumPy arrays on every process, which must give arrays of the same shapes."""
    return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree)) if jax.process_count() > 1 else tree


def _all_done(future: concurrent.futures.Future) -> bool:
    concurrent.futures.wait([future], timeout=_MEETING_SECONDS)
    return bool(np.all(multihost_utils.process_allgather(np.int32(future.done()))))


def _gather_texts(text: str) -> list[str]:
    buffer = np.zeros(_MESSAGE_BYTES, np.uint8)
    encoded = np.frombuffer(text.encode(errors="replace")[:_MESSAGE_BYTES], np.uint8)
    buffer[: len(encoded)] = encoded
    return [row.tobytes().rstrip(b"\0").decode(errors="replace") for row in multihost_utils.process_allgather(buffer)]


class Preemption:
    """Notices SIGTERM (the machine is about to be taken away) and Ctrl-C, on all processes at the same step.

    It does from the first call of `reached` on. Before, while the first step compiles, there is nothing to save, and
    both signals end the process as they do anywhere else.

    Attributes:
        reason: what asked to stop, for people; meaningful once `reached` has returned True.
    """

    def __enter__(self) -> "Preemption":
        self.reason = "SIGTERM"
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

    def _listen(self) -> None:
        # With several processes JAX's coordinator catches SIGTERM, and sees to it that all stop at the same step.
        numbers = [signal.SIGTERM] if self._alone else []
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # As shells have it for jobs in the background.
            numbers.append(signal.SIGINT)
        handlers = {number: signal.signal(number, self._ask) for number in numbers}
        self._before = (handlers, signal.set_wakeup_fd(-1))  # What ends the process on Ctrl-C elsewhere, interrupt.py.

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if number == signal.SIGINT:
            self.reason = "Ctrl-C"
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.write(2, b"\nstopping after this step, to save it; Ctrl-C again ends the run at once\n")
            if not self._alone:
                signal.raise_signal(signal.SIGTERM)

    def reached(self, step: int) -> bool:
        """Returns whether to save and stop after `step`."""
        if self._before is None:
            self._listen()
        return self._asked if self._alone else multihost_utils.reached_preemption_sync_point(step)
