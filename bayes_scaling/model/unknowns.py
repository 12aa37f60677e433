"""Where the unknowns of a model come from: random variables of PyMC, or the numbers of a batch of draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bayes_scaling.model.gaussian import Decay, Serial
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.model.priors import Prior


@dataclass(frozen=True)
class JointlyNormal:
    """Rows that are Normal together.

    ``deviation`` is the standard deviation of a row's noise at the typical loss, ``growth`` the variance function,
    ``own_variance`` that of its own error; ``effects`` are scale at the typical loss and basis of every shared effect;
    ``decay`` is how the correlation of rows that follow each other falls.
    """

    mean: Any
    deviation: Any
    growth: Any
    own_variance: Any | None
    effects: list[tuple[Any, Any]]
    serial: Serial | None = None
    decay: Decay | None = None


class Unknowns(Protocol):
    """What the definition of a model asks for, in the order in which it is asked.

    An unknown is one number a draw or, along a dimension of groups, one number a label.
    """

    def positive(self, name: str, prior: Prior) -> Any:
        """Return a positive unknown with its prior."""

    def free(self, name: str, start: float) -> Any:
        """Return an unknown on the whole real line whose density :meth:`with_prior` states."""

    def standard(self, name: str, dim: str, size: int) -> Any:
        """Return independent standard Normal unknowns, one a label of a dimension."""

    def with_prior(self, name: str, prior: Prior, log_value: Any) -> Any:
        """Return a positive number, given its logarithm, whose prior density the model has."""

    def record(self, name: str, value: Any, dim: str | None = None) -> None:
        """Store a number that follows from the unknowns; one that is there already stays."""

    def mean(self, effect: Any) -> Any:
        """Return the mean over labels."""

    def pick(self, effect: Any, position: Any) -> Any:
        """Return the labels at a position: one number a group, or a single one."""

    def of_rows(self, value: Any, group: Any) -> Any:
        """Return the value of each row's group, or the one of all."""

    def independent(
        self,
        name: str,
        likelihood: Likelihood,
        arguments: Mapping[str, Any],
        mean: Any,
        scale: Any,
        log_measured: Any,
        dim: str,
    ) -> None:
        """Add rows that are independent: the distribution of their residuals at a scale."""

    def jointly_normal(self, name: str, rows: JointlyNormal, log_measured: Any, dim: str) -> None:
        """Add rows that are Normal together: effects integrated out, runs correlated."""
