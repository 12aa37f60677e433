"""What every posterior is: a fit of one law or several, one observation of it, a mixture of fits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

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
