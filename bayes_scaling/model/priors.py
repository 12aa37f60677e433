"""The distributions a model document may name, all on positive numbers, and how to draw from them.

The names and arguments are PyMC's. Those that are common here are drawn from by numpy alone, so that a fit with such
priors can be looked at and simulated from without PyMC; a test holds the two together. Of all others PyMC itself is asked.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bayes_scaling.errors import InvalidSpecification
from bayes_scaling.model.registry import sentence
from bayes_scaling.plugins import Registry

_Arguments = Mapping[str, float]
_Draw = Callable[[np.random.Generator, _Arguments, Any], Any]
_Density = Callable[[_Arguments, np.ndarray], np.ndarray]
_LOG_TWO_PI: Final = float(np.log(2 * np.pi))
_MEDIAN_OF: Final = 2001
_LEAST: Final = 1e-100
"""Size of the smallest argument: the square of a smaller one is zero."""


def _shape_and_rate(given: _Arguments) -> tuple[float, float]:
    if "mu" in given:
        return (given["mu"] / given["sigma"]) ** 2, given["mu"] / given["sigma"] ** 2
    return given["alpha"], given["beta"]


def _shape_and_scale(given: _Arguments) -> tuple[float, float]:
    if "mu" in given:
        shape = 2 + (given["mu"] / given["sigma"]) ** 2
        return shape, given["mu"] * (shape - 1)
    return given["alpha"], given["beta"]


def _gamma(rng: np.random.Generator, given: _Arguments, size: Any) -> Any:
    shape, rate = _shape_and_rate(given)
    return rng.gamma(shape, 1 / rate, size)


def _inverse_gamma(rng: np.random.Generator, given: _Arguments, size: Any) -> Any:
    shape, scale = _shape_and_scale(given)
    return scale / rng.gamma(shape, 1.0, size)


def _density_of_lognormal(given: _Arguments, value: np.ndarray) -> np.ndarray:
    z = (np.log(value) - given["mu"]) / given["sigma"]
    return -0.5 * (z**2 + _LOG_TWO_PI) - math.log(given["sigma"]) - np.log(value)


def _density_of_gamma(given: _Arguments, value: np.ndarray) -> np.ndarray:
    shape, rate = _shape_and_rate(given)
    return shape * math.log(rate) - math.lgamma(shape) + (shape - 1) * np.log(value) - rate * value


def _density_of_inverse_gamma(given: _Arguments, value: np.ndarray) -> np.ndarray:
    shape, scale = _shape_and_scale(given)
    return shape * math.log(scale) - math.lgamma(shape) - (shape + 1) * np.log(value) - scale / value


def _density_of_half_normal(given: _Arguments, value: np.ndarray) -> np.ndarray:
    return math.log(2) - 0.5 * ((value / given["sigma"]) ** 2 + _LOG_TWO_PI) - math.log(given["sigma"])


def _density_of_exponential(given: _Arguments, value: np.ndarray) -> np.ndarray:
    return -math.log(given["scale"]) - value / given["scale"]


def _density_of_uniform(given: _Arguments, value: np.ndarray) -> np.ndarray:
    return np.full(np.shape(value), -math.log(given["upper"] - given["lower"]))


class Distribution(Protocol):
    """A family of distributions that a prior can name."""

    def check(self, given: _Arguments) -> None:
        """Refuse arguments by :class:`~bayes_scaling.errors.InvalidSpecification`."""

    @property
    def draw(self) -> _Draw:
        """Draws positive numbers."""
        ...

    @property
    def log_density(self) -> _Density:
        """The log density at positive numbers."""
        ...

    def support(self, given: _Arguments) -> tuple[float, float]:
        """Return the bounds between which the density is not zero."""
        ...


@dataclass(frozen=True)
class _Shipped:
    """A family that numpy draws from; ``takes`` are the sets of arguments it may have."""

    name: str
    takes: tuple[frozenset[str], ...]
    draw: _Draw
    log_density: _Density

    def check(self, given: _Arguments) -> None:
        """Refuse arguments that it does not take."""
        if frozenset(given) not in self.takes:
            right = " or ".join("(" + ", ".join(sorted(names)) + ")" for names in self.takes)
            raise InvalidSpecification(
                f"{self.name} takes the arguments {right}, found {', '.join(sorted(given)) or 'none'}"
            )
        for name, value in given.items():
            may_be_any = name in _MAY_BE_ANY_NUMBER.get(self.name, ())
            if not may_be_any and (value < 0 or (value == 0 and name != "lower")):
                raise InvalidSpecification(f"{self.name}: {name} has to be positive, found {value:g}")
            if value and not _LEAST <= abs(value) <= 1 / _LEAST:
                raise InvalidSpecification(
                    f"{self.name}: {name} has to lie between {_LEAST:g} and {1 / _LEAST:g}, found {value:g}"
                )
        if self.name == "Uniform" and given["lower"] >= given["upper"]:
            raise InvalidSpecification(
                f"Uniform: lower has to be below upper, found {given['lower']:g} and {given['upper']:g}"
            )

    def support(self, given: _Arguments) -> tuple[float, float]:
        """Return the bounds between which the density is not zero."""
        return given.get("lower", 0.0), given.get("upper", np.inf)


_MU_SIGMA, _ALPHA_BETA = frozenset({"mu", "sigma"}), frozenset({"alpha", "beta"})
_MAY_BE_ANY_NUMBER: Final = {"LogNormal": {"mu"}}
_FAMILIES = (
    _Shipped(
        "LogNormal", (_MU_SIGMA,), lambda rng, g, size: rng.lognormal(g["mu"], g["sigma"], size), _density_of_lognormal
    ),
    _Shipped("Gamma", (_MU_SIGMA, _ALPHA_BETA), _gamma, _density_of_gamma),
    _Shipped("InverseGamma", (_MU_SIGMA, _ALPHA_BETA), _inverse_gamma, _density_of_inverse_gamma),
    _Shipped(
        "HalfNormal",
        (frozenset({"sigma"}),),
        lambda rng, g, size: np.abs(rng.normal(0.0, g["sigma"], size)),
        _density_of_half_normal,
    ),
    _Shipped(
        "Exponential",
        (frozenset({"scale"}),),
        lambda rng, g, size: rng.exponential(g["scale"], size),
        _density_of_exponential,
    ),
    _Shipped(
        "Uniform",
        (frozenset({"lower", "upper"}),),
        lambda rng, g, size: rng.uniform(g["lower"], g["upper"], size),
        _density_of_uniform,
    ),
)
DISTRIBUTIONS: Final[Mapping[str, Distribution]] = {family.name: family for family in _FAMILIES}
"""The distributions that need no PyMC."""

OWN: Final[Registry[Callable[..., Any]]] = Registry("distribution")
"""Distributions that users made, by name: see :func:`~bayes_scaling.inference.distributions.distribution`."""

_FURTHER: Final = "bayes_scaling.inference.distributions"
"""The module that knows PyMC's further ones. It is named, not imported, as this room does without PyMC."""


def _named(name: str) -> Distribution:
    """Return the distribution of a name; PyMC is imported for one that is not shipped."""
    return DISTRIBUTIONS[name] if name in DISTRIBUTIONS else importlib.import_module(_FURTHER).named(name)


def written(given: _Arguments) -> str:
    """Return arguments as one writes them.

    >>> written({"mu": 0.5, "sigma": 1.0})
    'mu=0.5, sigma=1'
    """
    return ", ".join(f"{name}={value:g}" for name, value in given.items())


class Prior(BaseModel):
    """A prior on one positive number, as a model document writes it.

    Parameters
    ----------
    dist : str
        Name of the distribution, as in PyMC: LogNormal, Gamma, InverseGamma, HalfNormal, Exponential and Uniform, for which
        PyMC is not imported; any other of positive numbers, such as Weibull or HalfCauchy; or a user's own.
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

    @classmethod
    def of(cls, given: Any) -> Prior:
        """Return the prior that something states: a prior, a dictionary of it, or what another library calls one.

        Parameters
        ----------
        given : Prior, mapping, or distribution of PreliZ or pymc_extras
            A dictionary has ``dist`` and its arguments, on one level or under ``kwargs``, as ``pymc_extras.prior.Prior`` writes
            it. A distribution of PreliZ has to have all of its parameters.

        Raises
        ------
        InvalidSpecification
            If it states no prior on one positive number.

        Examples
        --------
        >>> str(Prior.of({"dist": "LogNormal", "kwargs": {"mu": -1.1, "sigma": 0.5}}))
        'LogNormal(mu=-1.1, sigma=0.5)'
        """
        if isinstance(given, cls):
            return given
        if hasattr(given, "params_dict"):  # a distribution of PreliZ
            given = {"dist": type(given).__name__, **(given.params_dict or {})}
        elif not isinstance(given, Mapping) and hasattr(given, "to_dict"):
            given = given.to_dict()
        if not isinstance(given, Mapping):
            raise InvalidSpecification(
                f"{given!r} is not a prior: give Prior(dist='LogNormal', mu=0, sigma=1), a dictionary of it, or a distribution "
                f"of PreliZ or pymc_extras"
            )
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise InvalidSpecification(sentence(dict(error.errors()[0]), cls)) from None

    @model_validator(mode="before")
    @classmethod
    def _on_one_level(cls, given: Any) -> Any:
        """Read the dictionary of ``pymc_extras.prior.Prior``, which has the arguments on a level of their own."""
        if isinstance(given, Mapping) and isinstance(given.get("kwargs"), Mapping):
            return {name: value for name, value in given.items() if name != "kwargs"} | dict(given["kwargs"])
        return given

    @model_validator(mode="after")
    def _takes_its_arguments(self) -> Prior:
        _named(self.dist).check(self.arguments)
        return self

    @property
    def has_bounds(self) -> bool:
        """Whether it leaves some positive numbers out."""
        return self.support != (0.0, np.inf)

    @property
    def support(self) -> tuple[float, float]:
        """The bounds between which its density is not zero."""
        return _named(self.dist).support(self.arguments)

    @cached_property
    def median(self) -> float:
        """The median, of a few thousand draws."""
        return float(np.median(self.draw(np.random.default_rng(0), _MEDIAN_OF)))

    def log_density(self, value: np.ndarray) -> np.ndarray:
        """Return the log density at positive numbers of an array."""
        return _named(self.dist).log_density(self.arguments, value)

    def draw(self, rng: np.random.Generator, size: Any = None) -> Any:
        """Draw positive numbers: one, or an array of a size."""
        return _named(self.dist).draw(rng, self.arguments, size)

    def __str__(self) -> str:
        """Return the prior as one writes it."""
        return f"{self.dist}({written(self.arguments)})"
