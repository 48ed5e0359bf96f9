"""Fuzzes every parser with coverage guidance from atheris; needs `pip install -e ".[benchmarks]"`.

    python -m benchmarks.fuzz --inputs=80000 --out=found

For each parser in `benchmarks.fuzz_targets`, prints how many inputs produced data, the documented error or anything
else, and the CPU seconds. Inputs that produce anything else, crash, hang or exhaust the memory are saved in --out; the
exit status is then 1.
"""

import argparse
import atexit
import copy
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

# Replacement values for JSON.
_ODD = [None, True, -1, 10**400, 0.5, 1e308, float("nan"), float("inf"), "", "x", "\ud800", [], {}, [[]]]
_COLUMNS = ("inputs", "data", "error", "other", "seconds")


def fuzz(name: str, inputs: int, seed: int, folder: Path, out: Path) -> None:
    """Fuzzes one parser and writes the counts to "<name>.json" in `out`; libFuzzer ends the process when it is done."""
    import atheris

    with atheris.instrument_imports(include=["blur_jax", "tfds_builders", "PIL"]):
        from benchmarks import fuzz_targets

        scratch, corpus = folder / "scratch", folder / "corpus"
        scratch.mkdir(), corpus.mkdir()
        target = fuzz_targets.TARGETS[name](scratch)
    for index, content in enumerate(target.seeds):
        if fuzz_targets.outcome(target, content) != "data":
            raise ValueError(f"{name}: seed {index} does not produce data; correct it in benchmarks.fuzz_targets")
        (corpus / str(index)).write_bytes(content)
    warnings.simplefilter("ignore")
    counts, known, start = {"data": 0, "error": 0, "other": 0}, set(), time.process_time()

    def parse(data: bytes) -> None:
        try:
            counts[fuzz_targets.outcome(target, data)] += 1
        except Exception as error:
            counts["other"] += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__}-{Path(where.filename).stem}-{where.lineno}"
            if kind not in known:
                known.add(kind)
                (out / f"{_file_name(name)}-{kind}").write_bytes(data)

    @atexit.register
    def report() -> None:
        result = counts | {"seconds": time.process_time() - start, "kinds": sorted(known)}
        (out / f"{_file_name(name)}.json").write_text(json.dumps(result))

    limits = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=4096", f"-artifact_prefix={out / _file_name(name)}-"]
    options = [f"-atheris_runs={inputs}", f"-seed={seed}", "-verbosity=0", *limits, str(corpus)]
    atheris.Setup([name, *options], parse, **({"custom_mutator": mutate_json} if target.is_json else {}))
    atheris.Fuzz()


def mutate_json(data: bytes, max_size: int, seed: int) -> bytes:
    """Usually changes one value in the JSON, because random byte changes rarely result in valid JSON."""
    rng = random.Random(seed)
    try:
        root = [json.loads(data)]
    except (ValueError, RecursionError):
        return _mutate_bytes(data, rng)[:max_size]
    containers, stack = [], [root]
    while stack:
        containers.append(stack.pop())
        values = containers[-1].values() if isinstance(containers[-1], dict) else containers[-1]
        stack += [value for value in values if isinstance(value, (list, dict)) and value]

    def place() -> tuple[Any, Any]:
        items = rng.choice(containers)
        return items, rng.choice(list(items) if isinstance(items, dict) else range(len(items)))

    (items, key), (others, other), odd = place(), place(), copy.deepcopy(rng.choice(_ODD))
    change = rng.randrange(4)
    if change == 0 and items is not root:
        del items[key]
    elif change == 1:
        items[key] = copy.deepcopy(others[other])
    elif change == 2 and isinstance(items, dict):
        items[str(odd)] = items[key]
    else:
        items[key] = odd
    text = json.dumps(root[0]).encode()
    return text if len(text) <= max_size and rng.random() < 0.8 else _mutate_bytes(data, rng)[:max_size]


def _mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Replaces some bytes; atheris.Mutate does not work with the libFuzzer that atheris ships."""
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.randbytes(rng.randrange(4)) + data[start + rng.randrange(4) :]


def _file_name(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def run(names: list[str], inputs: int, seed: int, out: Path) -> bool:
    """Fuzzes each parser in its own process and prints the table; returns whether all inputs gave data or errors."""
    out.mkdir(parents=True, exist_ok=True)
    print(f"{'parser':<30}" + "".join(f"{column:>10}" for column in _COLUMNS), flush=True)
    total, held = dict.fromkeys(_COLUMNS, 0.0), True
    for name in names:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
            options = [f"--only={name}", f"--inputs={inputs}", f"--seed={seed}", f"--out={out}", f"--folder={folder}"]
            command = [sys.executable, "-m", "benchmarks.fuzz", *options]
            ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        report = out / f"{_file_name(name)}.json"
        counts: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
        report.unlink(missing_ok=True)
        counts["inputs"] = sum(counts.get(kind, 0) for kind in ("data", "error", "other"))
        print(f"{name:<30}" + "".join(f"{counts.get(column, 0):>10,.0f}" for column in _COLUMNS), flush=True)
        total = {column: total[column] + counts.get(column, 0) for column in _COLUMNS}
        if ended.returncode or counts.get("other") or counts["inputs"] < inputs:
            held = False
            tail = ended.stdout[-3000:].decode(errors="replace") if ended.returncode else ""
            print(f"  exit status {ended.returncode}, {', '.join(counts.get('kinds', []))}; see {out}\n{tail}")
    print(f"{'all':<30}" + "".join(f"{total[column]:>10,.0f}" for column in _COLUMNS))
    return held


def main() -> int:
    """Runs the command; returns its exit status."""
    from benchmarks.fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=80_000, help="number of inputs per parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for inputs that produce neither data nor the documented error"
    )
    parser.add_argument(
        "--only", action="append", choices=list(TARGETS), help="a parser to fuzz; repeatable; default: all"
    )
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # For a single parser's process.
    arguments = parser.parse_args()
    if arguments.folder:
        fuzz(arguments.only[0], arguments.inputs, arguments.seed, arguments.folder, arguments.out)
    return 0 if run(arguments.only or list(TARGETS), arguments.inputs, arguments.seed, arguments.out) else 1


if __name__ == "__main__":
    sys.exit(main())
