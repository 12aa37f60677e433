"""The distributions a model document may name, all on positive numbers, and how to draw from them.

The names and arguments are PyMC's. Drawing needs numpy alone, so that a prior can be looked at and
simulated from without PyMC; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from bayes_scaling.errors import InvalidSpecification, choose

_Arguments = Mapping[str, float]
_Draw = Callable[[np.random.Generator, _Arguments, Any], Any]


def _gamma(rng: np.random.Generator, given: _Arguments, size: Any) -> Any:
    if "mu" in given:
        shape, rate = (given["mu"] / given["sigma"]) ** 2, given["mu"] / given["sigma"] ** 2
    else:
        shape, rate = given["alpha"], given["beta"]
    return rng.gamma(shape, 1 / rate, size)


def _inverse_gamma(rng: np.random.Generator, given: _Arguments, size: Any) -> Any:
    if "mu" in given:
        shape = 2 + (given["mu"] / given["sigma"]) ** 2
        scale = given["mu"] * (shape - 1)
    else:
        shape, scale = given["alpha"], given["beta"]
    return scale / rng.gamma(shape, 1.0, size)


_DISTRIBUTIONS: Final[dict[str, tuple[tuple[frozenset[str], ...], _Draw]]] = {
    "LogNormal": ((frozenset({"mu", "sigma"}),), lambda rng, g, size: rng.lognormal(g["mu"], g["sigma"], size)),
    "Gamma": ((frozenset({"mu", "sigma"}), frozenset({"alpha", "beta"})), _gamma),
    "InverseGamma": ((frozenset({"mu", "sigma"}), frozenset({"alpha", "beta"})), _inverse_gamma),
    "HalfNormal": ((frozenset({"sigma"}),), lambda rng, g, size: np.abs(rng.normal(0.0, g["sigma"], size))),
    "Exponential": ((frozenset({"scale"}),), lambda rng, g, size: rng.exponential(g["scale"], size)),
    "Uniform": ((frozenset({"lower", "upper"}),), lambda rng, g, size: rng.uniform(g["lower"], g["upper"], size)),
}

_MAY_BE_ANY_NUMBER = {"LogNormal": {"mu"}}


class Prior(BaseModel):
    """A prior on one positive number, as a model document writes it.

    Parameters
    ----------
    dist : str
        Name of the distribution, as in PyMC: LogNormal, Gamma, InverseGamma, HalfNormal, Exponential, Uniform.
    **arguments : float
        Its arguments, as in PyMC.

    Raises
    ------
    pydantic.ValidationError
        If the distribution is unknown, or takes other arguments; :func:`~bayes_scaling.read_model` turns it
        into a sentence.

    Examples
    --------
    >>> prior = Prior(dist="LogNormal", mu=0.5, sigma=0.3)
    >>> str(prior)
    'LogNormal(mu=0.5, sigma=0.3)'
    >>> prior.draw(np.random.default_rng(1), 3).round(2)
    array([1.83, 2.11, 1.82])
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, float]  # pyright: ignore[reportIncompatibleVariableOverride]

    dist: str

    @property
    def arguments(self) -> dict[str, float]:
        """The distribution's arguments by name."""
        return dict(self.__pydantic_extra__)

    @model_validator(mode="after")
    def _takes_its_arguments(self) -> Prior:
        if self.dist not in _DISTRIBUTIONS:
            raise InvalidSpecification(f"unknown distribution {self.dist!r}; {choose(self.dist, _DISTRIBUTIONS)}")
        given, sets = self.arguments, _DISTRIBUTIONS[self.dist][0]
        if frozenset(given) not in sets:
            right = " or ".join("(" + ", ".join(sorted(names)) + ")" for names in sets)
            found = ", ".join(sorted(given)) or "none"
            raise InvalidSpecification(f"{self.dist} takes the arguments {right}, found {found}")
        for name, value in given.items():
            lowest = 0.0 if name == "lower" else np.nextafter(0, 1)
            if name not in _MAY_BE_ANY_NUMBER.get(self.dist, ()) and value < lowest:
                raise InvalidSpecification(f"{self.dist}: {name} has to be positive, found {value:g}")
        if self.dist == "Uniform" and given["lower"] >= given["upper"]:
            raise InvalidSpecification(
                f"Uniform: lower has to be below upper, found {given['lower']:g} and {given['upper']:g}"
            )
        return self

    def draw(self, rng: np.random.Generator, size: Any = None) -> Any:
        """Draw from the prior.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        size : int or tuple of int, optional
            Shape of the result.

        Returns
        -------
        float or ndarray
            Positive numbers.
        """
        return _DISTRIBUTIONS[self.dist][1](rng, self.arguments, size)

    def __str__(self) -> str:
        """Return the prior as one writes it."""
        return f"{self.dist}({', '.join(f'{name}={value:g}' for name, value in self.arguments.items())})"
