"""The data and settings that a run is evaluated with: its own, and the changes of the command line."""

import json
from collections.abc import Mapping
from typing import Any

import ml_collections

from blur_jax.runs.config import check_ranges

_GROUPS = ("data", "evaluation")
_OF_THE_NETWORK = ("image_size", "context")  # The network, not the data set, decides which faces it can score.


def merge(
    run: ml_collections.ConfigDict,
    given: Mapping[str, Any],
    settings: ml_collections.ConfigDict,
    *,
    chosen: bool = False,
) -> ml_collections.ConfigDict:
    """Returns the config to evaluate a run with.

    Args:
        run: its config, as its checkpoint records it.
        given: the fields set on the command line, such as {"data.manual_dir": "PHOTOS"}.
        settings: the config of the command line.
        chosen: whether a config file was named. Its data are taken where they are another data set than the run's.

    Returns:
        the run's config with other `data` and `evaluation`. Where these may not be the run's own data, `data.sources`
        is None, so to be found out.

    Raises:
        ValueError: a field of another group is given, and is not what the run had; or a number is out of its range.
    """
    fields, settings = run.to_dict(), settings.to_dict()
    recorded, name = fields["data"], settings["data"]["name"]
    data = dict(recorded)
    if chosen and name != recorded["name"]:
        data = settings["data"] | {field: recorded[field] for field in _OF_THE_NETWORK}
    elif given.get("data.name", recorded["name"]) != recorded["name"] or "data.manual_dir" in given:
        data["sources"] = None
    elif data["sources"] is not None:
        data["manual_dir"] = None  # The lists may have changed since the run, but not what was prepared of them.
    fields["data"] = data
    for name, value in given.items():
        group, _, field = name.partition(".")
        if group in _GROUPS:
            fields[group][field] = value
        elif json.dumps(_get(fields, name)) != json.dumps(value):  # A tuple is recorded as a list.
            raise ValueError(
                f"config.{name} is {_get(fields, name)!r} in the run, {value!r} here; --mode=evaluate takes only fields"
                " of config.data and config.evaluation"
            )
    merged = ml_collections.ConfigDict(fields)
    check_ranges(merged, _GROUPS)
    return merged


def check_output(run: ml_collections.ConfigDict, data: ml_collections.ConfigDict, output: str | None) -> None:
    """Raises ValueError where results on other data would take the place of a run's own.

    Args:
        run: `data` of the run.
        data: those to evaluate on; with `sources` None, only their name is known.
        output: where the results go; None is the run directory.
    """
    sources = {run.sources, data.sources} - {None}
    if output is None and (run.name != data.name or len(sources) > 1):
        other = data.name if run.name != data.name else f"{data.name} of other lists or pictures"
        raise ValueError(
            f"this is not the data that the run was evaluated on ({other}); say where its results go with --output=DIR"
        )


def _get(fields: Mapping[str, Any], name: str) -> Any:
    for part in name.split("."):
        fields = fields.get(part) if isinstance(fields, Mapping) else None
    return fields
