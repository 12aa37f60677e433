"""Scaling laws, each written once, for floats, numpy, xarray and symbolic arrays alike.

To add a law, write one function in a module of this folder: it is listed, tested, documented and usable
in a model document by that alone.
"""

from __future__ import annotations

import importlib
import pkgutil

from bayes_scaling.laws.constants import published, published_names
from bayes_scaling.laws.law import LAWS, Law, law
from bayes_scaling.laws.transformer import Transformer, embedding_gamma, nonembedding_params, total_params

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "LAWS",
    "Law",
    "Transformer",
    "embedding_gamma",
    "law",
    "nonembedding_params",
    "published",
    "published_names",
    "total_params",
]
