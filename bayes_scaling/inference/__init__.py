"""The only room that knows PyMC: from a model and runs to a fit."""

from bayes_scaling.inference.build import build_model
from bayes_scaling.inference.joint import build_system, fit_system
from bayes_scaling.inference.sample import fit

__all__ = ["build_model", "build_system", "fit", "fit_system"]
