"""PyMC's distributions of positive numbers beyond those that :mod:`bayes_scaling.model.priors` draws from by numpy.

A prior that names one of them imports this module, and PyMC with it. What PyMC says of a distribution is asked, not
repeated: its arguments, their conditions, its support.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.distributions import transforms
from pymc.logprob.utils import ParameterValueError
from pytensor.graph.replace import graph_replace

from bayes_scaling.errors import InvalidSpecification, choose
from bayes_scaling.model.priors import DISTRIBUTIONS, OWN, Prior, written

_FEW: Final = 200
_MODE: Final = "FAST_COMPILE"
"""A prior is drawn from once or twice: faster code would take longer to make than it saves."""
_SUGGESTED: Final = (
    "Beta",
    "ChiSquared",
    "HalfCauchy",
    "HalfStudentT",
    "Kumaraswamy",
    "Pareto",
    "Rice",
    "Triangular",
    "TruncatedNormal",
    "Wald",
    "Weibull",
)
"""Distributions that a sentence names beside the shipped ones; any other of PyMC that is positive is taken too."""
_DENSITIES: Final[dict[Any, Any]] = {}
"""Compiled log densities of this process, by distribution and arguments."""


def distribution[F: Callable[..., Any]](function: F) -> F:
    """Make a distribution that a prior can name of a function.

    Parameters
    ----------
    function : callable
        Its name is that of the distribution. It takes the arguments of the prior and ``size``, and returns a random
        variable on all positive numbers, made of PyMC's distributions.

    Raises
    ------
    TypeError
        If the name is taken.

    Examples
    --------
    >>> @distribution
    ... def LogLaplace(mu, b, size=None):
    ...     return pm.math.exp(pm.Laplace.dist(mu=mu, b=b, size=size))
    >>> Prior(dist="LogLaplace", mu=0.0, b=0.1).draw(np.random.default_rng(1), 3).shape
    (3,)
    >>> del OWN["LogLaplace"]
    """
    name = function.__name__
    if name in DISTRIBUTIONS or hasattr(pm, name):
        raise TypeError(f"PyMC already has a distribution {name!r}: give the new one another name.")
    OWN.refuse_taken(name, function.__module__)
    OWN[name] = function
    return function


def variable(name: str, prior: Prior) -> Any:
    """Add an unknown with its prior to the model being built."""
    return named(prior.dist).add(name, prior.arguments)


def density(prior: Prior, value: Any) -> Any:
    """Return the log density of a prior at a value."""
    value = pt.as_tensor_variable(value)
    at: Any = value.type()  # PyMC may derive the density, for which the value has to stand for itself
    return graph_replace(pm.logp(named(prior.dist).made(prior.arguments), at), {at: value})


def named(name: str) -> Further:
    """Return PyMC's distribution of a name, or a user's.

    Raises
    ------
    InvalidSpecification
        If there is none.

    Examples
    --------
    >>> named("Weibull").support({"alpha": 2.0, "beta": 1.0})
    (0.0, inf)
    """
    kind = getattr(pm, name, None)
    # Lognormal is an alias of LogNormal: a distribution has one name.
    if inspect.isclass(kind) and hasattr(kind, "dist") and kind.__name__ == name:
        return Further(name, kind)
    if name in OWN:
        return _Own(name, OWN[name])
    raise InvalidSpecification(f"unknown distribution {name!r}; {_right(name)}")


@dataclass(frozen=True)
class Further:
    """One of PyMC's distributions.

    Parameters
    ----------
    name : str
        Its name.
    kind : type
        PyMC's class.
    """

    name: str
    kind: Any

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of its arguments."""
        stated = inspect.signature(self.kind.dist).parameters.values()
        return tuple(each.name for each in stated if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD))

    def made(self, given: Mapping[str, float], size: Any = None) -> Any:
        """Return a random variable."""
        return self.kind.dist(**self._exact(given), size=size)

    def add(self, name: str, given: Mapping[str, float]) -> Any:
        """Add a random variable to the model being built."""
        return self.kind(name, **self._exact(given))

    def check(self, given: Mapping[str, float]) -> None:
        """Refuse arguments that the distribution does not take, and one that is not of a positive number."""
        if not set(given) <= set(self.takes):
            raise InvalidSpecification(self._wrong(given))
        try:
            lowest, _ = self.support(given)
            pm.logp(self.made(given), 1.0).eval(mode=_MODE)
            drawn = self.draw(np.random.default_rng(0), given, _FEW)
        except ParameterValueError as error:
            raise InvalidSpecification(f"{self.name} needs {error}, found {written(given)}") from None
        except Exception as error:  # PyMC's own refusals are of many types
            raise InvalidSpecification(f"{self._wrong(given)} ({error})") from None
        if not (lowest >= 0 and np.ndim(drawn) == 1 and (drawn >= 0).all()):
            raise InvalidSpecification(
                f"unknown distribution {self.name!r} of a positive number: {self.name}({written(given)}) is not one; {_right(self.name)}"
            )

    def draw(self, rng: np.random.Generator, given: Mapping[str, float], size: Any) -> Any:
        """Draw from the distribution."""
        shape = () if size is None else size
        drawn = pm.draw(self.made(given, shape), random_seed=rng, mode=_MODE)
        return float(drawn) if size is None else drawn

    def log_density(self, given: Mapping[str, float], value: np.ndarray) -> np.ndarray:
        """Return the log density at an array of numbers."""
        key = (self.name, tuple(sorted(given.items())))
        if key not in _DENSITIES:
            at = pt.dvector("at")
            _DENSITIES[key] = pytensor.function([at], pm.logp(self.made(given), at), mode=_MODE)
        array = np.asarray(value, float)
        return np.reshape(_DENSITIES[key](array.ravel()), array.shape)

    def support(self, given: Mapping[str, float]) -> tuple[float, float]:
        """Return the bounds that PyMC takes into account as it samples."""
        with pm.Model(model=None) as alone:  # not a part of the model being built
            here = self.add("here", given)
            transform = alone.rvs_to_transforms[here]
        if isinstance(transform, transforms.LogTransform):
            return 0.0, np.inf
        if isinstance(transform, transforms.LogOddsTransform):
            return 0.0, 1.0
        if isinstance(transform, transforms.Interval):
            low, high = transform.args_fn(*here.owner.inputs)
            return (-np.inf if low is None else float(low.eval())), (np.inf if high is None else float(high.eval()))
        return -np.inf, np.inf

    def _exact(self, given: Mapping[str, float]) -> dict[str, Any]:
        """Return arguments in double precision, which PyTensor does not give every number of Python."""
        return {name: np.float64(value) for name, value in given.items()}

    def _wrong(self, given: Mapping[str, float]) -> str:
        return f"{self.name} takes the arguments ({', '.join(self.takes)}), found {', '.join(given) or 'none'}"


class _Own(Further):
    """A distribution that a user made."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of its arguments."""
        return tuple(name for name in inspect.signature(self.kind).parameters if name != "size")

    def made(self, given: Mapping[str, float], size: Any = None) -> Any:
        """Return a random variable."""
        return pm.CustomDist.dist(*self._ordered(given), dist=self.kind, size=size)

    def add(self, name: str, given: Mapping[str, float]) -> Any:
        """Add a random variable to the model being built, sampled by its logarithm."""
        return pm.CustomDist(name, *self._ordered(given), dist=self.kind, default_transform=transforms.log)

    def _ordered(self, given: Mapping[str, float]) -> tuple[Any, ...]:
        bound = inspect.signature(self.kind).bind(**self._exact(given), size=None)
        bound.apply_defaults()
        return tuple(value for name, value in bound.arguments.items() if name != "size")


def _right(name: str) -> str:
    return choose(name, {*DISTRIBUTIONS, *_SUGGESTED, *OWN})
