"""Targets that read the lists and tables for builders, the scorer, thresholds and comparisons."""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fuzz_targets.target import Target, of_file, of_files


def _raise(problems: Sequence) -> None:
    """Raises the error that a builder raises if its lists have problems."""
    if problems:
        raise ValueError(max(map(str, problems), key=len))


def release(root: Path) -> Target:
    from tfds_builders.ssranking_face_blur import lists
    from tfds_builders.ssranking_face_blur.builder import held_out

    faces = "".join(f"LFW>>{name}_1.jpg>>1 2 30 40>>{name}_1.jpg\n" for name in "abcd")
    put, seeds = of_files(
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
        _raise(release.problems)

    return Target(parse, seeds)


def tables(root: Path) -> Target:
    from tfds_builders.folder_face_blur.layout import read_layout
    from tfds_builders.folder_face_blur.tables import BOXES, PAIRS, RANKED, read_tables
    from tfds_builders.folder_face_blur.votes import combine

    for name in ("a.png", "b.png", "ü.png", "test.png"):
        (root / name).touch()
    layout = read_layout(root)
    pairs = 'left,right,order,annotator,time\na.png,b.png,1,Ann,\nb.png,"ü.png",-1.0,Bob,\nb.png,a.png,0,Bob,1\n'
    boxes = b"\xef\xbb\xbfname,x,y,width,height\r\na.png,1,2,30,40\r\n\r\nb.png,-1,0,5,5\r\ngone.png,1,1,1,1\r\n"
    put, seeds = of_files(root, {PAIRS: pairs.encode(), BOXES: boxes, RANKED: b"name,rank\ntest.png,2.5\n"})

    def parse(data: bytes) -> None:
        put(data)
        tables = read_tables(layout)
        _raise(tables.problems + combine(tables.votes or []).problems)

    return Target(parse, seeds)


def answers(root: Path) -> Target:
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


def interface(_: Path) -> Target:
    from tfds_builders.label_studio.interface import read_interface

    text = b"""<View><Pairwise name="pw" toName="one,two" leftClass="l" rightClass="r"/><Image name="one" value="$a"/>
    <Image name="two" value="$b"/><Choices name="same" toName="one"><Choice value="Tie"/></Choices></View>"""
    return Target(lambda data: read_interface(data.decode()), [text])


def inputs(_: Path) -> Target:
    from blur_jax.data import picture_lists

    def parse(data: bytes) -> None:
        for row in picture_lists.read_paths(io.BytesIO(data), "standard input"):
            os.fsencode(row.name)

    table = b'\xef\xbb\xbfname,x,y,width,height\r\n"a,b.jpg",1,2,30,40\r\n\xff.jpg,,,,\r\n'
    return Target(parse, [table, b"name\na.jpg\n", b"a.jpg\nb/c.jpg\r\n", b"a.jpg\0line\nbreak.jpg\0"])


def examples(root: Path) -> Target:
    from blur_jax.threshold.choose import read_examples

    return Target(of_file(root / "labels.csv", read_examples), [b"name,label\na.jpg,good\nb.jpg,Bad\n"])


def comparisons(root: Path) -> Target:
    from blur_jax.evaluate.comparisons import mated_qualities, parse_measure, read_comparisons, read_qualities

    put, seeds = of_files(
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
