"""The state of a run."""

import jax
import numpy as np
import pytest

from blur_jax.train import state as train_state
from tests.helpers.saved import state_of


@pytest.mark.parametrize("item", ["params", "ema_params", "opt_state"])
def test_what_is_not_finite_is_named(item):
    state = state_of(3)
    train_state.check_finite(state)
    poisoned = jax.tree.map(lambda x: x * np.nan if x.dtype == np.float32 else x, getattr(state, item))
    with pytest.raises(FloatingPointError, match=rf"after step 3 is not finite: .*{item}"):
        train_state.check_finite(state.replace(**{item: poisoned}))
