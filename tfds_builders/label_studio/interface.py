"""Reads from a labeling interface which picture of a task is on which side."""

import dataclasses
import xml.etree.ElementTree


@dataclasses.dataclass(frozen=True)
class Interface:
    """The labeling interface: the names of a task's pictures, the Pairwise tag and the Choices tags.

    If `control` or `choices` is None, any tag is accepted. `left` and `right` are other words that exports use for the
    pictures: their object names and classes.
    """

    left_key: str
    right_key: str
    control: str | None = None
    left: frozenset[str] = frozenset()
    right: frozenset[str] = frozenset()
    choices: frozenset[str] | None = None


def read_interface(text: str, control: str | None = None) -> Interface:
    """Reads an XML labeling configuration; toName lists the pictures from left to right.

    Raises:
        ValueError: the text is not XML, or does not have exactly one Pairwise tag (named `control`) with two pictures.
    """
    try:
        elements = list(xml.etree.ElementTree.fromstring(text.strip()).iter())
    except xml.etree.ElementTree.ParseError as error:
        raise ValueError(f"the labeling configuration is not XML ({error})") from error
    tags = [(tag.tag.lower(), {name.lower(): value for name, value in tag.attrib.items()}) for tag in elements]
    pairwise = [tag for kind, tag in tags if kind == "pairwise"]
    chosen = [tag for tag in pairwise if control in (None, tag.get("name"))]
    if len(chosen) != 1:
        names = [tag.get("name") for tag in pairwise]
        raise ValueError(f"the labeling configuration has the Pairwise tags {names}; choose one with --control=NAME")
    objects = [name.strip() for name in chosen[0].get("toname", "").split(",")]
    values = {tag["name"]: tag["value"] for _, tag in tags if tag.get("value", "").startswith("$") and "name" in tag}
    keys = [values[name].removeprefix("$") for name in objects if name in values]
    shown = f"toName={','.join(objects)!r}"
    if len(objects) != 2 or len(set(keys)) != 2:
        raise ValueError(f"{shown} must list two tags, each with a value such as $image1")
    if objects[0] == "right" or objects[1] == "left":
        raise ValueError(
            f"{shown} does not show whether 'left' means a side or a name; if it means a side, as in Label Studio's"
            f" own exports, use --left-key={keys[0]} --right-key={keys[1]} instead of --config"
        )
    left, right = (
        frozenset({name, chosen[0].get(side, name)}) for name, side in zip(objects, ("leftclass", "rightclass"))
    )
    choices = frozenset(tag["name"] for kind, tag in tags if kind == "choices" and "name" in tag)
    return Interface(*keys, chosen[0].get("name"), left, right, choices)
