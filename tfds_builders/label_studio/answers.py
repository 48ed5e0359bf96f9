"""Reads annotators' answers from a Label Studio export and converts each answer to the order of a pair.

Formats: JSON, a list of tasks with "data" and "annotations" ("completions" in old exports), and JSON-MIN, a list of
records that contain both the task data and the tag values.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from blur_jax.data.untrusted import excerpt, read_json
from tfds_builders.label_studio.interface import Interface

TIES = ("tie", "equal", "same", "can't tell", "cannot tell")


class Answer(NamedTuple):
    """An annotator's answer to a task: the values of its Pairwise tags (`selected`) and Choices tags (`choices`).

    `annotator` is an email address or a number, or "" if unknown. `time` is the time of the last change, in the format
    of the export.
    """

    task: str
    data: dict[str, Any]
    selected: list[str]
    choices: list[str]
    annotator: str
    time: str


def read_answers(text: str, interface: Interface) -> tuple[list[Answer], int]:
    """Returns the answers in an export, and the number of cancelled annotations, which are skipped.

    Raises:
        ValueError: the text is not an export.
    """
    try:
        tasks = read_json(text)
    except ValueError as error:
        raise ValueError(f"not JSON ({error}); export as JSON or JSON-MIN") from error
    tasks = [tasks] if isinstance(tasks, dict) else tasks
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ValueError("not a list of tasks; export as JSON or JSON-MIN")
    answers, cancelled = [], 0
    for index, task in enumerate(tasks, 1):
        name = f"task {excerpt(task['id']) if 'id' in task else f'number {index}'}"
        try:
            if not isinstance(task.get("data"), dict):
                answers.append(_minimal(task, name, interface))
                continue
            for annotation in task.get("annotations", task.get("completions", [])):
                if annotation.get("was_cancelled") or annotation.get("skipped"):
                    cancelled += 1
                else:
                    answers.append(_full(task["data"], annotation, name, interface))
        except (AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"{name} does not have the format of a Label Studio export ({error})") from error
    return answers, cancelled


def _full(data: dict[str, Any], annotation: dict[str, Any], task: str, interface: Interface) -> Answer:
    selected, choices = [], []
    for item in annotation.get("result") or []:
        value, tag = item.get("value") or {}, item.get("from_name")
        if "choices" in value:
            choices += map(str, value["choices"]) if interface.choices is None or tag in interface.choices else []
        elif interface.control in (None, tag):
            selected += _selected(value)
    return _answer(task, data, selected, choices, annotation.get("completed_by"), annotation)


def _minimal(record: dict[str, Any], task: str, interface: Interface) -> Answer:
    selected, choices = [], []
    for tag, value in record.items():
        if tag in (interface.left_key, interface.right_key):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and "choices" not in item and interface.control in (None, tag):
                selected += _selected(item)
            elif isinstance(item, str) and (tag == interface.control or item in ("left", "right")):
                selected.append(item)
            elif isinstance(item, (str, dict)) and (interface.choices is None or tag in interface.choices):
                choices += map(str, item.get("choices", [])) if isinstance(item, dict) else [item]
    return _answer(task, record, selected, choices, record.get("annotator"), record)


def _answer(
    task: str, data: dict[str, Any], selected: list[str], choices: list[str], who: Any, times: dict[str, Any]
) -> Answer:
    time = times.get("updated_at") or times.get("created_at")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return Answer(task, data, selected, choices, "" if who is None else str(who), str(time or ""))


def _selected(value: dict[str, Any]) -> list[str]:
    """Reads a Pairwise value: "selected" in new exports, "pairwise" in old ones; either may be in a list."""
    selected = value.get("selected") or value.get("pairwise")
    selected = selected[0] if isinstance(selected, list) and selected else selected
    return [] if selected in (None, [], "none") else [str(selected)]


def order_of(answer: Answer, interface: Interface, question: str, ties: Sequence[str] = TIES) -> int | None:
    """Returns the order as in `pairs.csv`: +1 if the right picture is blurrier, -1 if the left one is, 0 for a tie.

    Returns None if the task has no answer. `question` says whether annotators selected the "sharper" or the "blurrier"
    picture. `ties` are values of Choices tags, in lower case.

    Raises:
        ValueError: the selection is not one of the two pictures, or the answer contradicts itself.
    """
    tie = any(choice.lower() in ties for choice in answer.choices)
    if not answer.selected:
        return 0 if tie else None
    if len(set(answer.selected)) > 1:
        raise ValueError(
            f"the task has conflicting answers {excerpt(answer.selected)}; choose one Pairwise tag with --control=NAME"
        )
    selected = answer.selected[0]
    if tie:
        raise ValueError(f"{excerpt(selected)} is selected, but a tie is marked too; correct the annotation")
    words = {
        side: [*names, key, f"${key}", answer.data.get(key)]
        for side, names, key in (
            ("left", interface.left, interface.left_key),
            ("right", interface.right, interface.right_key),
        )
    }
    sides = [selected] if selected in words else [side for side in words if selected in words[side]]
    if len(sides) != 1:
        raise ValueError(
            f"{excerpt(selected)} is selected, which is not 'left', 'right' or the name of a picture; pass the"
            " labeling configuration with --config"
        )
    return 1 if (sides[0] == "left") == (question == "sharper") else -1
