"""Everything that a run is at one moment: arrays only, so it can be replicated, donated and saved as it is."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class TrainState:
    """The state of training after `step` updates.

    Attributes:
        step: int32 [], number of updates made.
        params: float32 pytree, the scorer's parameters.
        opt_state: the optax state.
        ema_params: float32 pytree, exponential moving average of `params`; None when it is off.
    """

    step: jax.Array
    params: Any
    opt_state: optax.OptState
    ema_params: Any

    @property
    def best_params(self) -> Any:
        """The parameters to score with: the average where there is one."""
        return self.params if self.ema_params is None else self.ema_params


def create(params: Any, tx: optax.GradientTransformation, *, ema: bool) -> TrainState:
    """Returns the state before the first update."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=tx.init(params),
        ema_params=jax.tree.map(jnp.copy, params) if ema else None,
    )
