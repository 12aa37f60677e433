"""What every posterior is: a fit of one law or several, one observation of it, a mixture of fits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

from bayes_scaling.errors import WrongPosterior

if TYPE_CHECKING:
    from bayes_scaling.posterior.fit import Fit, Kind


class Posterior(Protocol):
    """What a question is asked of, and what is predicted from."""

    @property
    def digest(self) -> str:
        """SHA-256 of what answers follow from."""
        ...

    @property
    def model_digest(self) -> str:
        """SHA-256 of the model, or of the models of a mixture."""
        ...

    @property
    def converged(self) -> bool:
        """Whether every convergence check passed."""
        ...

    @property
    def verdict(self) -> str:
        """A sentence on whether the posterior has converged."""
        ...

    @property
    def adequate(self) -> bool:
        """Whether every check of adequacy passed."""
        ...

    @property
    def adequacy(self) -> str:
        """A sentence on whether the model describes the runs."""
        ...

    @property
    def loss_unit(self) -> str:
        """Unit of every loss in and out."""
        ...

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each fit of a mixture; nothing of a single fit."""
        ...

    @property
    def parts(self) -> Mapping[str, Fit]:
        """The fits that have weight, by name: of a single fit, itself."""
        ...

    @property
    def sentence(self) -> str:
        """What a mixture is made of; nothing of a single fit."""
        ...

    def as_kind(self, kinds: Collection[Kind], question: str) -> Posterior:
        """Return the posterior as a question takes it, or refuse the question."""
        ...


def accepted(posterior: Any, kinds: Collection[Kind], name: str) -> Any:
    """Return a posterior as a question or a function of a name takes it, or refuse it with what to give instead."""
    if not hasattr(posterior, "as_kind"):
        stored = isinstance(posterior, str) or hasattr(posterior, "__fspath__")
        found = f"the name {str(posterior)!r}: read the file with load_fit" if stored else type(posterior).__name__
        raise WrongPosterior(
            f"{name} needs a fit{'' if 'mixture' not in kinds else ' or a mixture of fits'}, found {found}."
        )
    return posterior.as_kind(kinds, name)


def taking[**P, Result](*kinds: Kind) -> Callable[[Callable[P, Result]], Callable[P, Result]]:
    """Return a decorator of a function whose first argument is a posterior: what is of no such kind is refused in a sentence.

    >>> taking("fit")(lambda fit: fit.model.law)("fit.nc")
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.WrongPosterior: <lambda> needs a fit, found the name 'fit.nc': read the file with load_fit.
    """

    def decorated(function: Callable[P, Result]) -> Callable[P, Result]:
        first = next(iter(signature(function).parameters))

        @wraps(function)
        def of_posterior(*given: Any, **named: Any) -> Result:
            if given:
                given = (accepted(given[0], kinds, function.__name__), *given[1:])
            elif first in named:
                named[first] = accepted(named[first], kinds, function.__name__)
            return function(*given, **named)

        return of_posterior

    return decorated
