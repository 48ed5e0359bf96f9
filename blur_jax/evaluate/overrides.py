"""Builds the config for evaluating a run: the run's own config, with changes from the command line."""

import json
from collections.abc import Mapping
from typing import Any

import ml_collections

from blur_jax.runs.config import check_ranges

_GROUPS = ("data", "evaluation")


def merge(
    run: ml_collections.ConfigDict,
    given: Mapping[str, Any],
    settings: ml_collections.ConfigDict,
    *,
    chosen: bool = False,
) -> ml_collections.ConfigDict:
    """Returns the run's config with `data` and `evaluation` overridden; `data.sources` is None if the data may differ.

    Args:
        run: the run's config, as recorded in its checkpoint.
        given: the fields set on the command line, such as {"data.manual_dir": "PHOTOS"}.
        settings: the config from the command line.
        chosen: whether --config was passed; if so, its data set replaces the run's if they differ.

    Raises ValueError if a field in any other group differs from the run's, or a number is out of range.
    """
    fields, settings = run.to_dict(), settings.to_dict()
    recorded, name = fields["data"], settings["data"]["name"]
    data = dict(recorded)
    if chosen and name != recorded["name"]:
        # The network, not the data set, determines the crop that it can score.
        data = settings["data"] | {field: recorded[field] for field in ("image_size", "context")}
    elif given.get("data.name", recorded["name"]) != recorded["name"] or "data.manual_dir" in given:
        data["sources"] = None
    elif data["sources"] is not None:
        data["manual_dir"] = None  # The lists may have changed since the run, but the prepared data have not.
    fields["data"] = data
    fields["evaluation"] = settings["evaluation"] | fields["evaluation"]  # An older run may lack a field.
    for name, value in given.items():
        group, _, field = name.partition(".")
        if group in _GROUPS:
            fields[group][field] = value
        elif json.dumps(_get(fields, name)) != json.dumps(value):  # A tuple is recorded as a list.
            raise ValueError(
                f"config.{name} is {_get(fields, name)!r} in the run but {value!r} here; --mode=evaluate can only"
                " change fields of config.data and config.evaluation"
            )
    check_ranges(merged := ml_collections.ConfigDict(fields), _GROUPS)
    return merged


def check_output(run: ml_collections.ConfigDict, data: ml_collections.ConfigDict, output: str | None) -> None:
    """Raises ValueError if results on different data would replace the results on the run's own data.

    `run` and `data` are `config.data` of the run and of this evaluation; if `sources` is None, only the data set's name
    is known. An `output` of None means the run directory.
    """
    sources = {run.sources, data.sources} - {None}
    if output is None and (run.name != data.name or len(sources) > 1):
        other = data.name if run.name != data.name else f"{data.name} from different lists or pictures"
        raise ValueError(
            f"results on {other} would replace those on the run's own data; choose a different folder with --output=DIR"
        )


def _get(fields: Any, name: str) -> Any:
    for part in name.split("."):
        fields = fields.get(part) if isinstance(fields, Mapping) else None
    return fields
