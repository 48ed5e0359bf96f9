"""Reads what a compiled program costs from its text, in which XLA leaves its own estimates."""

import math
import re

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "f32": 4, "s32": 4, "u32": 4, "f64": 8}


def mib(size: float) -> str:
    """Returns a number of bytes as text, in MiB."""
    return f"{size / 2**20:,.1f} MiB"


def all_reduce_bytes(text: str) -> int:
    """Returns the bytes that the program's all-reduces sum across the devices, without the padding of layouts."""
    results = re.findall(r"= (\S.*?) all-reduce(?:-start)?\(", text)
    return sum(_size(*array) for result in results for array in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", result))


def estimated_cycles(text: str) -> int | None:
    """Returns the sum of XLA's estimates for all instructions, counting loops once; None if it makes none (GPUs)."""
    estimates = re.findall(r'"estimated_cycles":"(\d+)"', text)
    return sum(map(int, estimates)) if estimates else None


def _size(kind: str, shape: str) -> int:
    return _BYTES[kind] * math.prod(map(int, filter(None, shape.split(","))))
