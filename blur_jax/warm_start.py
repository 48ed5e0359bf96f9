"""`config.start_from`: a new run that starts from the parameters of another, to train longer or on other labels."""

from typing import Any

import ml_collections

from blur_jax import checkpoints

# Fields of config.model that say how a network is trained or computed, not which parameters it has.
_FREE = ("pretrained", "linear_probe", "frozen_blocks", "dtype")


def find(config: ml_collections.ConfigDict) -> checkpoints.Saved:
    """Finds the checkpoint that `config.start_from` names, a run directory or one folder checkpoints/<step>.

    Raises:
        ValueError: there is none, or its network or the crops it was trained on are not those of the config.
    """
    try:
        saved = checkpoints.find(config.start_from)
    except checkpoints.CheckpointError as error:
        raise ValueError(f"config.start_from: {error}") from error
    there, here = saved.config.model, config.model
    pairs = {f"model.{name}": (there.get(name), here[name]) for name in here if name not in _FREE}
    crops = {name: (getattr(saved.preprocessing, name), config.data[name]) for name in ("image_size", "context")}
    pairs |= {f"data.{name}": values for name, values in crops.items()}
    different = [f"config.{name} is {a!r} there, {b!r} here" for name, (a, b) in pairs.items() if a != b]
    if different:
        raise ValueError(
            f"config.start_from={config.start_from} has another network ({'; '.join(different)}); set these fields as"
            " they are there, or leave out config.start_from"
        )
    return saved


def load(config: ml_collections.ConfigDict, template: Any) -> Any:
    """Reads the parameters to start from: those that the other run scores with.

    Args:
        config: the new run's config.
        template: parameters of its network, a pytree of arrays of the wanted shapes.

    Raises:
        ValueError: as `find`, or the checkpoint is damaged.
    """
    return find(config).load_params(template)
