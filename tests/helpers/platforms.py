"""What a function becomes on a platform that this machine does not have."""

import jax
from jax import lax


def lowered(function, *arguments, platform):
    """The program, as text, that JAX hands to the compiler of a platform; arguments may be shapes."""
    return jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,)).as_text()


def as_accelerator(monkeypatch):
    """Makes this CPU compute what is meant for an accelerator."""
    monkeypatch.setattr(lax, "platform_dependent", lambda *arguments, default, **_: default(*arguments))
