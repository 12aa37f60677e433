"""The only room that knows PyMC: from a model and runs to a fit."""

from bayes_scaling.inference.model import build_model
from bayes_scaling.inference.sampling import fit

__all__ = ["build_model", "fit"]
