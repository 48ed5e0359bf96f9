"""A run's training state, which contains only arrays, so it can be replicated, donated and saved directly."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from blur_jax.models import network


@struct.dataclass
class TrainState:
    """The training state after `step` updates."""

    step: jax.Array  # int32 [].
    params: Any  # float32 pytree, the network's parameters.
    opt_state: optax.OptState  # The optimizer's state for the trained parameters.
    ema_params: Any  # float32 pytree, exponential moving average of `params`; None if it is off.
    teacher_params: Any = None  # float32 pytree, the parameters that training started from; None if no loss uses them.

    @property
    def scoring_params(self) -> Any:
        """The parameters to score with: the moving average if the run keeps one."""
        return self.params if self.ema_params is None else self.ema_params

    def arrays(self) -> dict[str, Any]:
        """Returns the fields to save in a checkpoint, {name: pytree}: all except the step and fields that are None."""
        trees = {name: getattr(self, name) for name in ("params", "ema_params", "opt_state", "teacher_params")}
        return {name: tree for name, tree in trees.items() if tree is not None}

    def at(self, step: int, arrays: dict[str, Any]) -> "TrainState":
        """Returns a copy of the state with a new step and new arrays, in the form that `arrays` returns."""
        return self.replace(step=np.int32(step), **arrays)  # ty: ignore[missing-attribute]


def create(
    params: Any, tx: optax.GradientTransformation, *, frozen_blocks: int = 0, ema: bool = False, teacher: bool = False
) -> TrainState:
    """Returns the state before the first update; `ema` and `teacher` add `ema_params` and `teacher_params`.

    The optimizer keeps no state for frozen parameters; `frozen_blocks` is `config.model.frozen_blocks`.
    """
    trained, _ = network.partition(params, frozen_blocks)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=tx.init(trained),
        ema_params=jax.tree.map(jnp.copy, params) if ema else None,
        teacher_params=jax.tree.map(jnp.copy, params) if teacher else None,
    )


def check_finite(state: TrainState) -> None:
    """Raises FloatingPointError with the array's path if an array in the state is not finite; takes NumPy arrays."""
    for path, array in jax.tree_util.tree_leaves_with_path(state):
        if not np.isfinite(array).all():
            raise FloatingPointError(f"the state after step {state.step} is not finite: {jax.tree_util.keystr(path)}")
