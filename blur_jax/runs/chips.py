"""Accelerators to compile for without having them: their published peaks, and the names of groups of them."""

import dataclasses
import math
import re

_GB, _TERA = 10**9, 10**12
# The shapes of Cloud TPU's accelerator types: https://docs.cloud.google.com/tpu/docs/v5e, v6e, v5p and v4.
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_DEEP = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8")


@dataclasses.dataclass(frozen=True)
class Chip:
    """One chip, which is one replica; all rates are the maker's peaks per second, and bytes and rates are decimal."""

    platform: str  # JAX's name: "tpu" or "cuda".
    memory: int  # Bytes.
    operations: float  # bfloat16 multiplications and additions.
    bandwidth: float  # Bytes to and from the memory.
    interconnect: float  # Bytes that the chip sends to other chips; half of a figure for both directions.
    hertz: float | None = None  # Clock, which turns the compiler's cycles into seconds; None if it estimates none.
    dimensions: int = 2  # Of a slice's shape.
    cores: int = 1  # In the accelerator type: v5p-8 has 8 cores on 4 chips.


CHIPS = {
    # https://docs.cloud.google.com/tpu/docs/v4; also v5e, v5p and v6e. Clocks: the peak divided by the operations of
    # all matrix units per cycle. That of v6e is an assumption: Google does not publish it, and its two units of 256 x
    # 256 reach the peak at 1.75 GHz only if they take two rows per cycle. Its compiler assumes more than one as well.
    "v4": Chip("tpu", 32 * _GB, 275 * _TERA, 1228 * _GB, 300 * _GB, 1.05e9, dimensions=3, cores=2),
    "v5e": Chip("tpu", 16 * _GB, 197 * _TERA, 819 * _GB, 200 * _GB, 1.5e9),
    "v5p": Chip("tpu", 95 * _GB, 459 * _TERA, 2765 * _GB, 600 * _GB, 1.75e9, dimensions=3, cores=2),
    "v6e": Chip("tpu", 32 * _GB, 918 * _TERA, 1638 * _GB, 400 * _GB, 1.75e9),
    # https://www.nvidia.com/en-us/data-center/h200/, without sparsity.
    "h200": Chip("cuda", 141 * _GB, 989 * _TERA, 4800 * _GB, 450 * _GB, dimensions=1),
}


@dataclasses.dataclass(frozen=True)
class Topology:
    """Connected chips, such as `v5e:4x8`; `str` returns that name.

    Attributes:
        chip: a key of `CHIPS`.
        shape: the chips along each dimension of one slice.
        slices: the number of slices, which are connected by the data center's network.
    """

    chip: str
    shape: tuple[int, ...]
    slices: int = 1

    @property
    def chips(self) -> int:
        return self.slices * math.prod(self.shape)

    def __str__(self) -> str:
        name = f"{self.chip}:{'x'.join(map(str, self.shape))}"
        return f"cuda:{name}" if CHIPS[self.chip].platform == "cuda" else name + f":{self.slices}" * (self.slices > 1)


def parse(text: str) -> Topology:
    """Reads `v5e:4x8`, `v5e:4x8:2` (two slices), `cuda:h200:8` or an accelerator type, such as `v5litepod-32`.

    Raises ValueError, with names that work, for any other text.
    """
    if match := re.fullmatch(r"(v\w+)-(\d+)", text):
        name, size = match[1].replace("v5litepod", "v5e"), int(match[2])
        shapes = _accelerator_types(CHIPS[name]) if name in CHIPS else {}
        if size in shapes:
            return Topology(name, shapes[size])
        if shapes:
            known = ", ".join(f"{match[1]}-{size}" for size in shapes)
            raise ValueError(f"--topology={text} does not exist; choose one of: {known}")
    count = r"[1-9]\d*"
    if match := re.fullmatch(rf"(v\w+):({count}(?:x{count})*)(?::({count}))?|cuda:(\w+):({count})", text):
        name, shape, slices, gpu, gpus = match.groups()
        topology = Topology(name or gpu, tuple(map(int, (shape or gpus).split("x"))), int(slices or 1))
        chip = CHIPS.get(topology.chip)
        if chip is not None and (chip.platform == "cuda") == (gpu is not None):
            if len(topology.shape) != chip.dimensions:
                example = _FLAT[4] if chip.dimensions == 2 else _DEEP[4]
                raise ValueError(
                    f"--topology={text}: a slice of {name} has {chip.dimensions} dimensions, as in {name}:{example}"
                )
            return topology
    known = ", ".join(f"cuda:{name}" if chip.platform == "cuda" else name for name, chip in CHIPS.items())
    raise ValueError(
        f"--topology={text} is unknown; pass CHIP:SHAPE, such as v5e:4x8, or v5e:4x8:2 for two slices, or cuda:h200:8;"
        f" known chips: {known}"
    )


def _accelerator_types(chip: Chip) -> dict[int, tuple[int, ...]]:
    """Returns {number in the accelerator type: the shape that Cloud TPU creates by default}."""
    shapes = [tuple(map(int, shape.split("x"))) for shape in (_FLAT if chip.dimensions == 2 else _DEEP)]
    return {chip.cores * math.prod(shape): shape for shape in shapes}
