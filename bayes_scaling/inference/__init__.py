"""From a model and runs to a fit. Two samplers: importance sampling with walkers in numpy, and NUTS on the PyMC model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayes_scaling.inference.again import SecondSeed, check_again
from bayes_scaling.inference.sample import fit

if TYPE_CHECKING:
    from bayes_scaling.inference.build import build_model

__all__ = ["SecondSeed", "build_model", "check_again", "fit"]


def __getattr__(name: str) -> Any:
    """Return what needs PyMC, imported when it is asked for."""
    if name == "build_model":
        from bayes_scaling.inference.build import build_model

        return build_model
    raise AttributeError(name)
