"""launch.py with a clock, which `benchmarks.startup` starts: prints JSON after the first step, and ends."""

import json
import os
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from absl import app

import launch

_HITS, _MISSES = "/jax/compilation_cache/cache_hits", "/jax/compilation_cache/cache_misses"


class Clock:
    """When which phase of this process ended."""

    def __init__(self) -> None:
        with open("/proc/self/stat") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])  # From the start of the machine to ours.
        born = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
        self._last, self.phases = (born, 0.0), {}

    def mark(self, phase: str) -> None:
        """Ends a phase, or a part of one."""
        now = (time.time(), time.process_time())
        spent = [after - before for after, before in zip(now, self._last)]
        before = self.phases.get(phase, [0.0, 0.0])
        self._last, self.phases[phase] = now, [a + b for a, b in zip(before, spent)]

    def around(self, function: Callable, phase: str, *, before: str) -> Callable:
        """Returns a function that counts as one phase, and what came before it as another."""

        def called(*args: Any, **kwargs: Any) -> Any:
            self.mark(before)
            result = function(*args, **kwargs)
            self.mark(phase)
            return result

        return called


def main() -> None:
    """Runs launch.py up to the first step."""
    clock, run = Clock(), launch.run
    clock.mark("flags")

    def timed(*args: Any) -> int:
        import jax

        from blur_jax.train import loop, start

        clock.mark("imports")
        counts = {_HITS: 0, _MISSES: 0}

        def count(event: str, **_: Any) -> None:
            if event in counts:
                counts[event] += 1

        jax.monitoring.register_event_listener(count)
        make_step = loop.make_step

        def made(*args: Any) -> Callable:
            step = clock.around(make_step(*args), "trace, and compile or load", before="first batch and the rest")

            def first(*args: Any) -> None:
                jax.block_until_ready(step(*args))
                clock.mark("first step")
                programs = {"loaded": counts[_HITS], "compiled": counts[_MISSES]}
                print(json.dumps({"phases": clock.phases, "programs": programs}), flush=True)
                os._exit(0)

            return first

        rest = "first batch and the rest"
        opened = clock.around(start.open_pairs, "open the data", before=rest)
        drawn = clock.around(start.initial_state, "initial state", before=rest)
        with (
            mock.patch.object(start, "open_pairs", opened),
            mock.patch.object(start, "initial_state", drawn),
            mock.patch.object(loop, "make_step", made),
        ):
            return run(*args)

    with mock.patch.object(launch, "run", timed):
        app.run(launch.main, flags_parser=launch.parse)


if __name__ == "__main__":
    main()
