"""Where prepared data sets lie on disk, and which one a config means."""

import os
import re

import ml_collections
import tensorflow_datasets as tfds

from blur_jax.preprocessing import Preprocessing

_PARTS = ("labeled", "unlabeled", "ranked")


def find_parts(config: ml_collections.ConfigDict, default_dir: str) -> dict[str, str]:
    """Finds the prepared data set that `config`, a run's `config.data`, means.

    Args:
        config: name, dir, sources, image_size, context.
        default_dir: where prepared data live where `config.dir` is not set.

    Returns:
        {kind: folder} of all parts that it has; "faces", which they refer to, is not among them.

    Raises:
        FileNotFoundError: there is none; says how to prepare it.
        ValueError: there are several and `config.sources` is not set.
    """
    root = os.path.join(os.path.abspath(os.path.expanduser(config.dir or default_dir)), config.name)
    tag = Preprocessing(image_size=config.image_size, context=config.context).tag
    sources = config.get("sources")  # Runs of older versions recorded none.
    pattern = rf"(\w+)-{re.escape(tag)}-({'[0-9a-f]{8}' if sources is None else re.escape(sources)})"
    found = {}
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        match, folder = re.fullmatch(pattern, name), os.path.join(root, name)
        if match and match[1] in _PARTS and tfds.core.utils.version.list_all_versions(folder):
            found.setdefault(match[2], {})[match[1]] = folder
    found = {of: parts for of, parts in found.items() if _is_whole(parts)}
    if len(found) > 1:
        hashes = ", ".join(sorted(found))
        raise ValueError(f"{root} has data prepared from several sources, {hashes}; choose with --config.data.sources=")
    if found:
        return found.popitem()[1]
    which = f"of config.data.sources={sources} " if sources is not None else ""
    folders = {"data_dir": config.dir, "manual_dir": config.manual_dir}
    flags = "".join(f" --{flag}={folder}" for flag, folder in folders.items() if folder)
    raise FileNotFoundError(
        f"no prepared data {which}of {config.image_size} px and context {config.context:g} in {root}; prepare them"
        f" with `python -m tfds_builders.prepare --dataset={config.name} --image_size={config.image_size}"
        f" --context={config.context:g}{flags}` (see its --help)"
    )


def _is_whole(parts: dict[str, str]) -> bool:
    """Whether all parts of a data set are there: its preparation may have been cut short."""
    metadata = open_part(next(iter(parts.values()))).info.metadata
    return set(parts) == set(metadata.get("parts", _PARTS))  # Older versions always had all.


def open_part(folder: str) -> tfds.core.DatasetBuilder:
    """Opens the newest version of a prepared part."""
    version = max(tfds.core.utils.version.list_all_versions(folder))
    return tfds.builder_from_directory(os.path.join(folder, str(version)))
