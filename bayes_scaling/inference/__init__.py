"""The only room that knows PyMC: from a model and runs to a fit."""

from bayes_scaling.inference.build import build_model
from bayes_scaling.inference.sample import fit

__all__ = ["build_model", "fit"]
