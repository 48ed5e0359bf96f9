"""Label Studio's exports, each with one of the traps they set."""

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


def selected(value, who=7, **references):
    return task(annotation(result({"selected": value}), who=who), **references)


def run(root, tasks, *arguments, config=CONFIG, question="sharper", keys=False):
    """Exit status and rows, for a user who has the labeling configuration, or the keys."""
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


@pytest.fixture
def refused(root, capsys):
    """Converts an export, which must fail; returns what is told of it."""

    def refuse(tasks, *arguments, **options):
        capsys.readouterr()
        assert run(root, tasks, *arguments, **options)[0] == 2
        return capsys.readouterr().err

    return refuse


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
    assert main(["export.json", "--question=sharper", f"--output={root / 'pairs.csv'}", "--left-key=a"]) == 2
    assert "--config, or --left-key and --right-key" in capsys.readouterr().err


OLD = ["left", ["left"], "first", ["links"], ["/data/local-files/?d=one.jpg"]]
NEW = [{"selected": "left"}, {"selected": "first"}, {"selected": "left", "pairwise": ["links"]}]


@pytest.mark.parametrize("value", NEW + [{"pairwise": value} for value in OLD])
def test_old_and_new_exports_name_the_side_the_object_its_class_or_the_picture(root, value):
    assert votes(root, [task(annotation(result(value)))]) == [("one.jpg", "two.jpg", 1)]
    turned = json.dumps(value).replace("left", "right").replace("first", "second")
    turned = json.loads(turned.replace("links", "rechts").replace("one", "two"))
    assert votes(root, [task(annotation(result(turned)))], "--overwrite") == [("one.jpg", "two.jpg", -1)]


def test_something_else_selected_is_refused(root, refused):
    assert "task 12: 'third' is selected, which is not 'left'" in refused([selected("third")])
    assert not (root / "pairs.csv").exists()


def test_objects_named_after_the_other_side_are_refused(refused):
    config = CONFIG.replace("first", "right").replace("second", "left")
    assert "--left-key=a --right-key=b" in refused([selected("left")], config=config)


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
    assert votes(root, [task(annotation(tie())), task(annotation(tie(5)))]) == [("one.jpg", "two.jpg", 0)]
    assert votes(root, [task(annotation(tie("Both blurred")))], "--overwrite") == []
    assert "not counted as ties (pass --tie to count one): 'Both blurred'" in capsys.readouterr().out
    tasks = [task(annotation(tie("Both blurred")), annotation(tie("Tie")))]
    assert votes(root, tasks, "--overwrite", "--tie=both blurred") == [("one.jpg", "two.jpg", 0)]
    other = [task(annotation(result({"choices": ["Tie"]}, "weather", "choices")))]
    assert votes(root, other, "--overwrite") == []


def test_a_side_and_a_tie_at_once_are_refused(refused):
    both = [task(annotation(result({"selected": "left"}), tie()))]
    assert "task 12: 'left' is selected, but a tie is marked too; correct" in refused(both)


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


def test_of_several_pairwise_tags_one_is_chosen(root, refused):
    config = CONFIG.replace("<Choices", '<Pairwise name="taste" toName="first,second"/><Choices')
    answers = [task(annotation(result({"selected": "left"}), result({"selected": "right"}, "taste")))]
    assert "['pw', 'taste']; choose one with --control=NAME" in refused(answers, config=config)
    assert votes(root, answers, "--control=taste", config=config) == [("one.jpg", "two.jpg", -1)]
    assert "--control=NAME" in refused(answers, "--overwrite", keys=True)
    assert votes(root, answers, "--overwrite", "--control=pw", keys=True) == [("one.jpg", "two.jpg", 1)]


def test_a_picture_that_was_uploaded_twice_can_be_merged(root, capsys):
    upload = "/data/upload/3/{}-one.jpg".format
    answer = annotation(result({"selected": "left"}))
    tasks = [task(answer, a=upload("ab12cd34")), task(answer, a=upload("0012cd34"), b="x/same.jpg")]
    tasks += [task(answer, a=upload("ab12cd34"), b=upload("0012cd34"))]
    assert run(root, tasks)[0] == 2
    assert "--merge-copies" in capsys.readouterr().err
    assert votes(root, tasks, "--merge-copies") == [("one.jpg", "two.jpg", 1), ("one.jpg", "x/same.jpg", 1)]
    assert "1 that compare a picture with itself" in capsys.readouterr().out


def test_the_latest_answer_of_a_minimal_export_counts_and_other_annotators_keep_theirs(root):
    records = [minimal("left", updated_at="2026-01-03"), minimal("right"), minimal("right", annotator=6)]
    rows = run(root, records)[1]
    assert [(row["order"], row["annotator"], row["time"]) for row in rows] == [
        ("1", "5", "2026-01-03"),
        ("-1", "6", "2026-01-01"),
    ]


def test_two_answers_at_one_time_are_refused(root, capsys):
    tasks = [task(*(annotation(result({"selected": side})) for side in ("left", "right")))]
    assert run(root, tasks) == (2, None)
    message = "nothing was written\n  task 12: annotator '7' gave 'one.jpg' and 'two.jpg' different orders"
    assert message in capsys.readouterr().err


def test_a_table_is_not_overwritten_unasked_nor_by_a_failure(root, refused):
    votes(root, [selected("left")])
    before = (root / "pairs.csv").read_bytes()
    assert "--overwrite" in refused([selected("right")])
    assert "'third' is selected" in refused([selected("third")], "--overwrite")
    assert (root / "pairs.csv").read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "{", '"text"', "[1]", '[{"id": 1, "data": {"a": "x", "b": "y"}, "annotations": 3}]', '[{"id": 1}]']
)
def test_what_is_no_export_is_one_sentence(refused, text):
    assert refused(text).startswith("label_studio: ")


@pytest.mark.parametrize(
    "tasks",
    [
        "[" * 100_000,
        json.dumps([selected("left")]).replace('"left"', "[" * 900 + "]" * 900),
        [selected("y" * 10**6) | {"id": "x" * 10**6}],
        [selected("a", a={"x": []})],
        [selected("left", a="/" * 10**6)],
        [selected("left") | {"data": dict.fromkeys(map(str, range(10**5)))}],
    ],
)
def test_a_hostile_export_is_one_short_sentence_at_once(root, tasks, capsys):
    start = time.process_time()
    assert run(root, tasks) == (2, None) and time.process_time() - start < 2
    assert len(capsys.readouterr().err) < 1000


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("", "not XML"),
        ("<View/>", "has the Pairwise tags []"),
        (CONFIG.replace("first,second", "first"), "must list two tags"),
        (CONFIG.replace("$b", "b"), "must list two tags"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_one_sentence(refused, config, found):
    assert found in refused([selected("left")], config=config)


def test_the_table_is_one_that_can_be_trained_on(root):
    tasks = [selected("left"), selected("right", who=8), task(annotation(tie()), b="x/same.jpg")]
    tasks += [selected("right", a=f"{folder}/same.jpg", b="day 1/thrée (a).jpg") for folder in "yx"]
    assert run(root, json.dumps(tasks).replace("/data/local-files/?d=", ""))[0] == 0
    assert len(photos.prepare(root).folders) == 3
