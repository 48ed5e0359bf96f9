"""Everything that a run is at one moment: arrays only, so they can be replicated, donated and saved as they are."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from blur_jax.models import network


@flax.struct.dataclass
class TrainState:
    """The state of training after `step` updates.

    Attributes:
        step: int32 [], number of updates made.
        params: float32 pytree, the network's parameters.
        opt_state: the optax state of the parameters that are trained.
        ema_params: float32 pytree, exponential moving average of `params`; None when it is off.
        teacher_params: float32 pytree, the parameters that training started from; None where no loss asks for them.
    """

    step: jax.Array
    params: Any
    opt_state: optax.OptState
    ema_params: Any
    teacher_params: Any = None

    @property
    def scoring_params(self) -> Any:
        """The parameters to score with: the moving average where there is one."""
        return self.params if self.ema_params is None else self.ema_params

    def arrays(self) -> dict[str, Any]:
        """Returns {name: pytree} of all but the step, without what is None: what a checkpoint holds."""
        trees = {name: getattr(self, name) for name in ("params", "ema_params", "opt_state", "teacher_params")}
        return {name: tree for name, tree in trees.items() if tree is not None}

    def at(self, step: int, arrays: dict[str, Any]) -> "TrainState":
        """Returns the state with this step and these arrays, which are those of `arrays`."""
        return self.replace(step=np.int32(step), **arrays)


def create(
    params: Any, tx: optax.GradientTransformation, *, frozen_blocks: int = 0, ema: bool = False, teacher: bool = False
) -> TrainState:
    """Returns the state before the first update.

    Args:
        params: the network's initial parameters.
        tx: the optimizer.
        frozen_blocks: `config.model.frozen_blocks`; the optimizer keeps no state for what is frozen.
        ema: whether to keep a moving average.
        teacher: whether to keep the initial parameters.
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
    """Raises FloatingPointError, naming the array, where a state of NumPy arrays is not finite."""
    for path, array in jax.tree_util.tree_leaves_with_path(state):
        if not np.isfinite(array).all():
            raise FloatingPointError(f"{jax.tree_util.keystr(path)} of the state after step {state.step} is not finite")
