"""Targets that read pictures, and the records of runs, checkpoints and interrupted commands."""

import io
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.fuzz_targets.target import Target, of_file


def journal(root: Path) -> Target:
    from blur_jax.score.inputs import Input
    from blur_jax.score.journal import Found, Journal, Row, path_of
    from blur_jax.score.tiles import Tiles

    output, header = str(root / "scores.csv"), {"checkpoint": "1a2b", "inputs": ["."]}
    good = Row("a.jpg", None, 0.25, None, 2.0, "dark blank", "0f" * 32, Tiles(0.1, 0.5, [[10, 50]]))
    rows = [good, Row("b.jpg", (1, 2, 3, 4), None, "cut short")]
    rows += [Row("c.jpg", (side, 2, 30, 40), 0.5, None, 1.0, "", found=Found(0.9, 2)) for side in (1, 2)]
    with Journal(output, header) as journal:
        journal.append(rows)
    path = Path(path_of(output))

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        inputs, kept = [Input("a.jpg", None), Input("b.jpg", (1, 2, 3, 4)), Input("c.jpg", None)], []
        with Journal(output, header) as journal:
            waiting = list(journal.resume(inputs, 1, kept.extend))
            assert list(journal) == list(itertools.chain(*kept))
        # Rows of a damaged journal are kept only if they belong to an input and have a score or a reason.
        assert [rows[0].input for rows in kept] + waiting == inputs
        assert all((row.blur is None) != (row.error is None) for rows in kept for row in rows)

    return Target(parse, [path.read_bytes()])


def threshold(root: Path) -> Target:
    from blur_jax.runs.threshold import THRESHOLD_FILE, Threshold, read_threshold

    whole = Threshold(0.5, "to discard 0.1", "0123456789abcdef", 200, "discard", 0.1, 100, (0.05, 0.2), "2026-11-28")
    parse = of_file(root / THRESHOLD_FILE, lambda _: read_threshold(root, checkpoint=whole.checkpoint))
    return Target(parse, [json.dumps(whole.to_dict()).encode()], True)


def _whole_calibration() -> dict:
    from blur_jax.metrics.calibration import PERCENTILES, Calibration

    return Calibration("9 faces", tuple(np.linspace(0, 1, PERCENTILES).tolist()), 2.0, (1.5, 2.5), 60).to_dict()


def calibration(_: Path) -> Target:
    from blur_jax.data.untrusted import read_json
    from blur_jax.metrics.calibration import Calibration, to_columns

    def parse(data: bytes) -> None:
        to_columns(np.array([0.0, 0.5, 1.0], np.float32), Calibration.from_dict(read_json(data)))

    return Target(parse, [json.dumps(_whole_calibration()).encode()], True)


def record(_: Path) -> Target:
    from blur_jax.data.preprocessing import Preprocessing
    from blur_jax.data.untrusted import read_json
    from blur_jax.runs.checkpoints import parse_meta

    meta: dict[str, Any] = {
        "step": 7,
        "config": {"model": {"backbone": "small"}},
        "preprocessing": Preprocessing().to_dict(),
    }
    meta |= {"validation_accuracy": 0.75, "validation_pairs": 60, "calibration": _whole_calibration(), "unlogged": []}
    meta |= {"checksums": {"params": "0123456789abcdef"}}
    seeds = [json.dumps(fields).encode() for fields in (meta, meta | {"calibration": None})]
    return Target(lambda data: parse_meta("run/checkpoints/7", read_json(data)), seeds, True)


def history(root: Path) -> Target:
    from blur_jax.runs.run_dir import HISTORY_FILE, read_history

    return Target(of_file(root / HISTORY_FILE, lambda _: read_history(root)), [b'{"step": 2, "loss": 0.5}\n{"step": 4'])


def pictures(_: Path) -> Target:
    from blur_jax.data.pictures import decode
    from blur_jax.data.preprocessing import Preprocessing, prepare

    image = Image.fromarray(np.arange(20 * 24 * 3, dtype=np.uint8).reshape(20, 24, 3))
    exif = Image.Exif()
    exif[274] = 6  # Orientation.
    seeds = []
    for name in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF"):
        buffer = io.BytesIO()
        image.save(buffer, name, **({"exif": exif} if name in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
        seeds.append(buffer.getvalue())

    def parse(data: bytes) -> None:
        assert decode(data).mode == "RGB"
        prepare(data, None, Preprocessing(image_size=16))

    return Target(parse, seeds)
