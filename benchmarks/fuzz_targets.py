"""Every parser of what others wrote, as a function of bytes: it gives data, or raises ValueError with a short message.

`benchmarks.fuzz` feeds them, and tests/fuzz_parsers_test.py does, in small. Each target imports its parser itself, so
that whoever fuzzes one does not load the libraries of all.
"""

import functools
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

_LONGEST_MESSAGE = 2000


class Target(NamedTuple):
    """A parser.

    Attributes:
        parse: from bytes; raises ValueError for what it refuses.
        seeds: inputs that it takes.
        is_json: whether inputs are JSON, whose values rather than bytes should change.
    """

    parse: Callable[[bytes], None]
    seeds: Sequence[bytes]
    is_json: bool = False


def outcome(target: Target, data: bytes) -> str:
    """Returns "data" or "error", the typed one.

    Raises:
        Exception: the parser raised something else, or its message shows too much of the input.
    """
    try:
        target.parse(data)
    except ValueError as error:
        if len(str(error)) > _LONGEST_MESSAGE:
            raise AssertionError(f"a message of {len(str(error))} characters") from error
        return "error"
    return "data"


def _tell(problems: Sequence) -> None:
    """Raises what a builder raises where its lists have problems."""
    if problems:
        raise ValueError(max(map(str, problems), key=len))


def _files(root: Path, good: dict[str, bytes]) -> tuple[Callable[[bytes], None], list[bytes]]:
    """Returns what writes an input into a folder, and the seeds: the first byte says which file the rest replaces."""
    names = sorted(good)
    for name, content in good.items():
        (root / name).write_bytes(content)
    last = [names[0]]

    def put(data: bytes) -> None:
        name = names[data[0] % len(names)] if data else names[0]
        (root / last[0]).write_bytes(good[last[0]])
        (root / name).write_bytes(data[1:])
        last[0] = name

    return put, [bytes([index]) + good[name] for index, name in enumerate(names)]


def _release(root: Path) -> Target:
    from tfds_builders.ssranking_face_blur import lists
    from tfds_builders.ssranking_face_blur.builder import held_out

    faces = "".join(f"LFW>>{name}_1.jpg>>1 2 30 40>>{name}_1.jpg\n" for name in "abcd")
    put, seeds = _files(
        root,
        {
            "LFW_all_imgs_list.txt": faces.encode() + b"LFW>>e,f.jpg>>0 0 9 9>>e,f.jpg\n",
            lists.SUPERVISED_10K: b"\xef\xbb\xbfLFW/a_1.jpg,LFW/b_1.jpg\r\nLFW/e,f.jpg,LFW/a_1.jpg\r\n",
            lists.UNSUPERVISED: b"LFW/b_1.jpg,LFW/c_1.jpg\n",
            lists.TESTS["test1"]: b"LFW/d_1.jpg 2.5\n",
        },
    )

    def parse(data: bytes) -> None:
        put(data)
        release = lists.read_release(root)
        held_out(name for pair in release.entries.get(lists.SUPERVISED_10K, []) for name in pair.names)
        _tell(release.problems)

    return Target(parse, seeds)


def _tables(root: Path) -> Target:
    from tfds_builders.folder_face_blur.layout import read_layout
    from tfds_builders.folder_face_blur.tables import BOXES, PAIRS, RANKED, read_tables
    from tfds_builders.folder_face_blur.votes import combine

    for name in ("a.png", "b.png", "ü.png", "test.png"):
        (root / name).touch()
    layout = read_layout(root)
    pairs = 'left,right,order,annotator,time\na.png,b.png,1,Ann,\nb.png,"ü.png",-1.0,Bob,\nb.png,a.png,0,Bob,1\n'
    boxes = b"\xef\xbb\xbfname,x,y,width,height\r\na.png,1,2,30,40\r\n\r\nb.png,-1,0,5,5\r\ngone.png,1,1,1,1\r\n"
    put, seeds = _files(root, {PAIRS: pairs.encode(), BOXES: boxes, RANKED: b"name,rank\ntest.png,2.5\n"})

    def parse(data: bytes) -> None:
        put(data)
        tables = read_tables(layout)
        combined = combine(tables.votes or [])
        _tell(tables.problems + combined.problems)

    return Target(parse, seeds)


def _answers(root: Path) -> Target:
    from tfds_builders.label_studio.answers import order_of, read_answers
    from tfds_builders.label_studio.interface import Interface
    from tfds_builders.label_studio.names import Names

    for name in ("a.png", "b.png"):
        (root / name).touch()
    interface = Interface("left", "right", "pw", frozenset({"first"}), choices=frozenset({"same"}))
    pair = {"left": "/data/local-files/?d=a.png", "right": "s3://bucket/b.png"}
    chosen = {"from_name": "pw", "value": {"selected": "left"}}
    tie = {"from_name": "same", "value": {"choices": ["Tie"]}}
    annotations = [{"completed_by": {"id": 1}, "result": [chosen]}, {"result": [tie], "was_cancelled": False}]
    full = {"id": 7, "data": pair, "annotations": annotations}
    small = {"id": 8, **pair, "pw": [{"selected": "right"}], "same": "Tie", "annotator": 3, "created_at": "2026"}
    resolved = full | {"data": {"left": "/x/?fileuri=czM6Ly9iL2EucG5n", "right": "http://h/upload/0123abcd-b.png?x#y"}}

    def parse(data: bytes) -> None:
        names = Names(root)
        for answer in read_answers(data.decode(), interface)[0]:
            order_of(answer, interface, "sharper")
            names.find(answer.data, "left"), names.find(answer.data, "right")

    return Target(parse, [json.dumps(tasks).encode() for tasks in ([full], [small | {"same": ""}], [resolved])], True)


def _interface(root: Path) -> Target:
    del root
    from tfds_builders.label_studio.interface import read_interface

    text = b"""<View><Pairwise name="pw" toName="one,two" leftClass="l" rightClass="r"/><Image name="one" value="$a"/>
    <Image name="two" value="$b"/><Choices name="same" toName="one"><Choice value="Tie"/></Choices></View>"""
    return Target(lambda data: read_interface(data.decode()) and None, [text])


def _inputs(root: Path) -> Target:
    del root
    from blur_jax.scoring import lists

    def parse(data: bytes) -> None:
        for row in lists.read_paths(io.BytesIO(data), "standard input"):
            os.fsencode(row.name)

    table = b'\xef\xbb\xbfname,x,y,width,height\r\n"a,b.jpg",1,2,30,40\r\n\xff.jpg,,,,\r\n'
    return Target(parse, [table, b"name\na.jpg\n", b"a.jpg\nb/c.jpg\r\n", b"a.jpg\0line\nbreak.jpg\0"])


def _examples(root: Path) -> Target:
    from blur_jax.threshold_choice import read_examples

    return Target(_of_file(root / "labels.csv", read_examples), [b"name,label\na.jpg,good\nb.jpg,Bad\n"])


def _comparisons(root: Path) -> Target:
    from blur_jax.comparisons import mated_qualities, parse_measure, read_comparisons, read_qualities

    put, seeds = _files(
        root,
        {
            "comparisons.csv": b"left,right,similarity,mated\na,b,0.5,1\na,b,-1e3,no\n",
            "scores.csv": b"name,blur,sharpness\na,0.5,50\nb,,\n",
        },
    )
    measures = [parse_measure("blur"), parse_measure("sharpness")]

    def parse(data: bytes) -> None:
        put(data)
        qualities = read_qualities(str(root / "scores.csv"), measures)
        mated_qualities(read_comparisons(str(root / "comparisons.csv")), qualities, "scores.csv")

    return Target(parse, seeds)


def _journal(root: Path) -> Target:
    from blur_jax.scoring.inputs import Input
    from blur_jax.scoring.journal import Journal, Row, path_of

    output, header = str(root / "scores.csv"), {"checkpoint": "1a2b", "inputs": ["."]}
    rows = [Row("a.jpg", None, 0.25, None), Row("b.jpg", (1, 2, 3, 4), None, "cut short")]
    with Journal(output, header) as journal:
        journal.append(rows)
    path = Path(path_of(output))

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        with Journal(output, header) as journal:
            kept = journal.resume([Input(row.name, row.box) for row in rows], 1)
            found = list(journal)
        # What is kept of a damaged journal is of its inputs, and is a score or a reason.
        assert [(row.name, row.box) for row in found] == [(row.name, row.box) for row in rows[:kept]]
        assert all((row.blur is None) != (row.error is None) for row in found)

    return Target(parse, [path.read_bytes()])


def _threshold(root: Path) -> Target:
    from blur_jax.decisions import THRESHOLD_FILE, Threshold, read_threshold

    whole = Threshold(0.5, "to discard 0.1", "0123456789abcdef", 200, "discard", 0.1, 100, (0.05, 0.2), "2026-11-28")
    parse = _of_file(root / THRESHOLD_FILE, lambda _: read_threshold(root, checkpoint=whole.checkpoint))
    return Target(parse, [json.dumps(whole.to_dict()).encode()], True)


def _whole_calibration() -> dict:
    from blur_jax.calibration import PERCENTILES, Calibration

    return Calibration("9 faces", tuple(np.linspace(0, 1, PERCENTILES).tolist()), 2.0, (1.5, 2.5), 60).to_dict()


def _calibration(root: Path) -> Target:
    del root
    from blur_jax.calibration import Calibration, to_columns
    from blur_jax.untrusted import read_json

    def parse(data: bytes) -> None:
        to_columns(np.array([0.0, 0.5, 1.0], np.float32), Calibration.from_dict(read_json(data)))

    return Target(parse, [json.dumps(_whole_calibration()).encode()], True)


def _record(root: Path) -> Target:
    del root
    from blur_jax.checkpoints import parse_meta
    from blur_jax.preprocessing import Preprocessing
    from blur_jax.untrusted import read_json

    meta = {"step": 7, "config": {"model": {"backbone": "small"}}, "preprocessing": Preprocessing().to_dict()}
    meta |= {"validation_accuracy": 0.75, "validation_pairs": 60, "calibration": _whole_calibration(), "unlogged": []}
    old = meta | {
        "config": {"optimizer": {"schedule": "x", "clip_norm": 0}, "consistency": {"gate": 1}, "ema_decay": 0}
    }
    old |= {"preprocessing": {"image_size": 64, "context": 1.0, "resample": "bicubic"}, "calibration": None}
    seeds = [json.dumps(record).encode() for record in (meta, old)]
    return Target(lambda data: parse_meta("run/checkpoints/7", read_json(data)) and None, seeds, True)


def _history(root: Path) -> Target:
    from blur_jax.run_dir import HISTORY_FILE, read_history

    return Target(
        _of_file(root / HISTORY_FILE, lambda _: read_history(root)), [b'{"step": 2, "loss": 0.5}\n{"step": 4']
    )


def _weights(root: Path) -> Target:
    del root
    from blur_jax.pretrained import read_torch_file

    text = functools.partial(lambda value: b"X" + len(value).to_bytes(4, "little") + value)
    storage = b"(" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"a") + text(b"cpu") + b"K\x02NtQ"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
    )
    state = b"\x80\x02ccollections\nOrderedDict\n)Rq\0(" + text(b"w") + tensor + b"u}" + text(b"_metadata") + b"Nsb."
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}" + text(b"little_endian") + b"\x88s."
    data = magic + state + b"\x80\x02]" + text(b"a") + b"a." + b"\x02" + b"\0" * 7 + b"\0\0\x80?" * 2

    def parse(data: bytes) -> None:
        for array in read_torch_file(data).values():
            array.sum()

    return Target(parse, [data])


def _pictures(root: Path) -> Target:
    del root
    from blur_jax.pictures import decode
    from blur_jax.preprocessing import Preprocessing, prepare

    image = Image.fromarray(np.arange(20 * 24 * 3, dtype=np.uint8).reshape(20, 24, 3))
    exif = Image.Exif()
    exif[274] = 6  # Orientation.
    seeds = []
    for name in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF"):
        buffer = io.BytesIO()
        image.save(buffer, name, **{"exif": exif} if name in ("JPEG", "PNG", "WEBP", "TIFF") else {})
        seeds.append(buffer.getvalue())

    def parse(data: bytes) -> None:
        assert decode(data, upright=True).mode == "RGB"
        prepare(data, None, Preprocessing(image_size=16))

    return Target(parse, seeds)


def _of_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Returns a function of bytes that puts them into a file, which `read` then reads."""

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        read(path)

    return parse


# Parser -> its target, given a folder for files.
TARGETS: dict[str, Callable[[Path], Target]] = {
    "lists of ssranking_face_blur": _release,
    "tables of folder_face_blur": _tables,
    "Label Studio answers": _answers,
    "Label Studio interface": _interface,
    "inputs of the scorer": _inputs,
    "examples of a threshold": _examples,
    "comparisons and qualities": _comparisons,
    "journal": _journal,
    "threshold.json": _threshold,
    "calibration": _calibration,
    "checkpoint record": _record,
    "history of a run": _history,
    "weights": _weights,
    "pictures": _pictures,
}
