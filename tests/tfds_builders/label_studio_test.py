"""Label Studio's exports, each with one of the traps they set."""

import base64
import csv
import json
import time

import pytest

from tests.helpers import photos
from tfds_builders.label_studio.__main__ import main

CONFIG = """<View>
  <Pairwise name="pw" toName="first,second" leftClass="links" rightClass="rechts"/>
  <Image name="second" value="$b"/>
  <Image name="first" value="$a"/>
  <Choices name="same" toName="first"><Choice value="Tie"/></Choices>
</View>"""
SWAPPED = CONFIG.replace('toName="first,second"', 'toName="second,first"')


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "photos"
    for seed, name in enumerate(("one.jpg", "two.jpg", "day 1/thrée (a).jpg", "x/same.jpg", "y/same.jpg")):
        photos.save(root, name, seed)
    return root


def result(value, tag="pw", kind="pairwise"):
    return {"id": "x", "from_name": tag, "to_name": "pw", "type": kind, "value": value}


def tie(value="Tie"):
    return result({"choices": [value]}, "same", "choices")


def annotation(*results, who=7, **fields):
    fields = {"created_at": "2026-01-02T03:04:05Z", "was_cancelled": False} | fields
    return {"id": 1, "completed_by": who, "result": list(results), **fields}


def task(*annotations, a="/data/local-files/?d=one.jpg", b="/data/local-files/?d=two.jpg"):
    return {"id": 12, "data": {"a": a, "b": b}, "annotations": list(annotations), "predictions": []}


def selected(value, **fields):
    return task(annotation(result({"selected": value}), **fields))


def run(root, tasks, *arguments, config=CONFIG, question="sharper", keys=False):
    """Exit status and rows; the arguments are those of a user who has the labeling configuration, or the keys."""
    export, output = root.parent / "export.json", root / "pairs.csv"
    export.write_text(tasks if isinstance(tasks, str) else json.dumps(tasks), encoding="utf-8")
    (root.parent / "config.xml").write_text(config)
    shown = ["--left-key=a", "--right-key=b"] if keys else [f"--config={root.parent / 'config.xml'}"]
    question = [f"--question={question}"] if question else []
    status = main([str(export), f"--output={output}", *question, *shown, *arguments])
    written = output.read_text("utf-8").splitlines() if output.exists() else None
    return status, None if written is None else list(csv.DictReader(written))


def votes(*arguments, **options):
    status, rows = run(*arguments, **options)
    assert status == 0
    return [(row["left"], row["right"], int(row["order"])) for row in rows]


@pytest.mark.parametrize(
    ("question", "side", "order"),
    [("sharper", "left", 1), ("sharper", "right", -1), ("blurrier", "left", -1), ("blurrier", "right", 1)],
)
def test_what_selected_means_is_the_question_that_was_asked(root, question, side, order):
    assert votes(root, [selected(side)], question=question) == [("one.jpg", "two.jpg", order)]


def test_the_question_must_be_given(root, capsys):
    with pytest.raises(SystemExit) as caught:
        run(root, [selected("left")], question=None)
    assert caught.value.code == 2 and "--question" in capsys.readouterr().err


def test_to_name_decides_which_picture_was_on_the_left(root):
    assert votes(root, [selected("left")]) == [("one.jpg", "two.jpg", 1)]
    assert votes(root, [selected("left")], "--overwrite", config=SWAPPED) == [("two.jpg", "one.jpg", 1)]
    assert votes(root, [selected("left")], "--overwrite", keys=True) == [("one.jpg", "two.jpg", 1)]


def test_without_configuration_and_keys_nobody_knows_the_left_picture(root, capsys):
    (root.parent / "e.json").write_text("[]")
    assert (
        main([str(root.parent / "e.json"), "--question=sharper", f"--output={root / 'pairs.csv'}", "--left-key=a"]) == 2
    )
    assert "--config, or --left-key and --right-key" in capsys.readouterr().err


@pytest.mark.parametrize(
    "value",
    [
        {"selected": "left"},
        {"selected": "first"},
        {"selected": "left", "pairwise": ["links"]},
        {"pairwise": "left"},
        {"pairwise": ["left"]},
        {"pairwise": "first"},
        {"pairwise": ["links"]},
        {"pairwise": ["/data/local-files/?d=one.jpg"]},
    ],
)
def test_old_and_new_exports_name_the_side_the_object_its_class_or_the_picture(root, value):
    assert votes(root, [task(annotation(result(value)))]) == [("one.jpg", "two.jpg", 1)]
    turned = json.loads(json.dumps(value).replace("left", "right").replace("first", "second"))
    turned = json.loads(json.dumps(turned).replace("links", "rechts").replace("one", "two"))
    assert votes(root, [task(annotation(result(turned)))], "--overwrite") == [("one.jpg", "two.jpg", -1)]


def test_something_else_selected_is_refused(root, capsys):
    status, rows = run(root, [selected("third")])
    assert status == 2 and rows is None
    assert "task 12: 'third' is selected, which is neither" in capsys.readouterr().err


def test_objects_named_after_the_other_side_are_refused(root, capsys):
    config = CONFIG.replace("first", "right").replace("second", "left")
    assert run(root, [selected("left")], config=config)[0] == 2
    assert "--left-key=a --right-key=b" in capsys.readouterr().err


def test_cancelled_annotations_are_skipped(root, capsys):
    answers = [
        annotation(result({"selected": "left"}), was_cancelled=True),
        annotation(result({"selected": "right"})),
        annotation(result({"selected": "left"}), skipped=True),
    ]
    assert votes(root, [task(*answers)]) == [("one.jpg", "two.jpg", -1)]
    assert "2 cancelled annotations, 0 without" in capsys.readouterr().out


def test_an_annotator_is_a_number_or_an_address(root):
    tasks = [selected("left", who=who) for who in (7, {"id": 8, "email": "a@b.org"}, {"id": 9}, None)]
    rows = run(root, tasks)[1]
    assert [row["annotator"] for row in rows] == ["7", "a@b.org", "9", ""]
    assert rows[0]["time"] == "2026-01-02T03:04:05Z"


def test_a_tie_comes_from_a_choice(root, capsys):
    assert votes(root, [task(annotation(tie()))]) == [("one.jpg", "two.jpg", 0)]
    assert votes(root, [task(annotation(tie("Both blurred")))], "--overwrite") == []
    assert "do not count as ties (to count one, pass --tie): 'Both blurred'" in capsys.readouterr().out
    tasks = [task(annotation(tie("Both blurred")), annotation(tie("Tie")))]
    assert votes(root, tasks, "--overwrite", "--tie=both blurred") == [("one.jpg", "two.jpg", 0)]
    other = [task(annotation(result({"choices": ["Tie"]}, "weather", "choices")))]
    assert votes(root, other, "--overwrite") == []


def test_a_side_and_a_tie_at_once_are_refused(root, capsys):
    assert run(root, [task(annotation(result({"selected": "left"}), tie()))])[0] == 2
    assert "task 12: 'left' is selected, but a tie is also chosen" in capsys.readouterr().err


def test_unanswered_annotations_are_counted(root, capsys):
    tasks = [task(annotation(), annotation(result({"selected": "none"}))), task()]
    assert votes(root, tasks) == []
    assert "0 cancelled annotations, 2 without an answer" in capsys.readouterr().out


def test_old_exports_call_annotations_completions(root):
    old = selected("right")
    old["completions"] = old.pop("annotations")
    assert votes(root, [old]) == [("one.jpg", "two.jpg", -1)]


def minimal(value, **fields):
    record = {"a": "/data/local-files/?d=one.jpg", "b": "/data/local-files/?d=two.jpg", "id": 3, "annotator": 5}
    return record | {"pw": value, "annotation_id": 2, "created_at": "2026-01-01", "lead_time": 1.5} | fields


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("value", [[{"selected": "right"}], {"selected": "right"}, "right", [{"pairwise": ["right"]}]])
def test_minimal_exports(root, value, keys):
    assert votes(root, [minimal(value)], keys=keys) == [("one.jpg", "two.jpg", -1)]
    rows = run(root, [minimal(value, annotator={"email": "a@b.org"})], "--overwrite", keys=keys)[1]
    assert [(row["annotator"], row["time"]) for row in rows] == [("a@b.org", "2026-01-01")]


def test_ties_of_minimal_exports(root):
    for same in ("Tie", {"choices": ["Tie"]}, ["Tie"]):
        assert votes(root, [minimal(None, same=same)], "--overwrite") == [("one.jpg", "two.jpg", 0)]
    assert votes(root, [minimal(None, caption="Tie")], "--overwrite") == []  # A necktie, in the task's data.


def test_of_several_pairwise_tags_one_is_chosen(root, capsys):
    config = CONFIG.replace("<Choices", '<Pairwise name="taste" toName="first,second"/><Choices')
    answers = [task(annotation(result({"selected": "left"}), result({"selected": "right"}, "taste")))]
    assert run(root, answers, config=config)[0] == 2
    assert "['pw', 'taste']; choose one with --control=NAME" in capsys.readouterr().err
    assert votes(root, answers, "--control=taste", config=config) == [("one.jpg", "two.jpg", -1)]
    assert run(root, answers, "--overwrite", keys=True)[0] == 2
    assert votes(root, answers, "--overwrite", "--control=pw", keys=True) == [("one.jpg", "two.jpg", 1)]


RESOLVED = base64.urlsafe_b64encode(b"s3://bucket/my/one.jpg").decode()


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("/data/local-files/?d=mnt/day%201/thr%C3%A9e%20(a).jpg", "day 1/thrée (a).jpg"),
        ("/data/upload/3/ab12cd34-one.jpg", "one.jpg"),
        ("/data/upload/3/ab12cd34-thrée_a.jpg", "day 1/thrée (a).jpg"),
        ("s3://bucket/photos/one.jpg", "one.jpg"),
        ("https://host/photos/y/same.jpg?X-Amz-Signature=1#x", "y/same.jpg"),
        (f"/tasks/12/resolve/?fileuri={RESOLVED}", "one.jpg"),
        ("one.jpg", "one.jpg"),
    ],
)
def test_references_are_found_in_the_folder(root, reference, name):
    tasks = [task(annotation(result({"selected": "left"})), a=reference)]
    assert votes(root, tasks) == [(name, "two.jpg", 1)]


@pytest.mark.parametrize(
    "reference", ["/data/upload/3/ab12cd34-same.jpg", "s3://bucket/none.jpg", "/data/local-files/?d=../../etc/passwd"]
)
def test_a_reference_to_no_picture_or_to_several_is_refused(root, reference, capsys):
    assert run(root, [task(annotation(result({"selected": "left"})), a=reference)])[0] == 2
    err = capsys.readouterr().err
    assert "task 12" in err and "is not a picture in" in err and "--strip-prefix" in err


def test_two_references_to_one_picture_are_refused_unless_a_prefix_tells_them_apart(root, capsys):
    tasks = [selected("left"), task(annotation(result({"selected": "left"})), a="s3://bucket/old/one.jpg")]
    assert run(root, tasks)[0] == 2
    assert "would both be named 'one.jpg'; use --strip-prefix" in capsys.readouterr().err
    tasks = [task(annotation(result({"selected": "left"})), a="s3://b/x/same.jpg", b="s3://b/y/same.jpg")]
    assert votes(root, tasks, "--strip-prefix=s3://b/") == [("x/same.jpg", "y/same.jpg", 1)]
    assert run(root, tasks, "--strip-prefix=s3://c/", "--overwrite")[0] == 2


def test_a_table_is_not_overwritten_unasked_nor_by_a_failure(root, capsys):
    votes(root, [selected("left")])
    before = (root / "pairs.csv").read_bytes()
    assert run(root, [selected("right")])[0] == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(root, [selected("third")], "--overwrite")[0] == 2
    assert (root / "pairs.csv").read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "{", '"text"', "[1]", '[{"id": 1, "data": {"a": "x", "b": "y"}, "annotations": 3}]', '[{"id": 1}]']
)
def test_what_is_no_export_is_one_sentence(root, text, capsys):
    status, rows = run(root, text)
    assert status == 2 and rows is None and capsys.readouterr().err.startswith("label_studio: ")


@pytest.mark.parametrize(
    "tasks",
    [
        "[" * 100_000,
        json.dumps([selected("left")]).replace('"left"', "[" * 900 + "]" * 900),
        [selected("y" * 10**6) | {"id": "x" * 10**6}],
        [task(annotation(result({"selected": "a"})), a={"x": []})],
        [task(annotation(result({"selected": "left"})), a="/" * 10**6)],
        [task(annotation(result({"selected": "left"})), a=None) | {"data": dict.fromkeys(map(str, range(10**5)))}],
    ],
)
def test_a_hostile_export_is_one_short_sentence_at_once(root, tasks, capsys):
    start = time.process_time()
    assert run(root, tasks) == (2, None) and time.process_time() - start < 2
    assert len(capsys.readouterr().err) < 1000


def test_choices_that_are_no_text_are_no_ties(root):
    assert votes(root, [task(annotation(tie(5))), selected("left")]) == [("one.jpg", "two.jpg", 1)]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("", "not XML"),
        ("<View/>", "has the Pairwise tags []"),
        (CONFIG.replace("first,second", "first"), "does not name two tags"),
        (CONFIG.replace("$b", "b"), "does not name two tags"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_one_sentence(root, config, found, capsys):
    assert run(root, [selected("left")], config=config)[0] == 2
    assert found in capsys.readouterr().err


def test_the_table_is_one_that_can_be_trained_on(root):
    tasks = [selected("left"), selected("right", who=8), task(annotation(tie()), b="x/same.jpg")]
    tasks += [task(annotation(result({"selected": "right"})), a="y/same.jpg", b="day 1/thrée (a).jpg")]
    tasks += [task(annotation(result({"selected": "right"})), a="x/same.jpg", b="day 1/thrée (a).jpg")]
    for reference in ("one.jpg", "two.jpg"):
        text = json.dumps(tasks).replace(f"/data/local-files/?d={reference}", reference)
        tasks = json.loads(text)
    assert run(root, tasks)[0] == 0
    assert len(photos.prepare(root).folders) == 3
