"""The noise of single rows: how measurements vary around the law, how that grows, and how it is correlated along runs.

A likelihood is a class: to add one, write a subclass of :class:`Likelihood` with its name, its unknowns and three functions
in one file. What each row has to itself is a scale, which may grow with the loss (the variance function), a standard error,
which belongs to the single row, an error more where the row went wrong, and, where a table has several points of a run,
serial correlation with a nugget.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import lgamma
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from bayes_scaling.elementwise import exp
from bayes_scaling.errors import InvalidModel, InvalidSpecification
from bayes_scaling.model.gaussian import Serial
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.registry import Registered, Strict
from bayes_scaling.plugins import Registry

_NU: Final = "nu belongs to StudentT, which needs it, and to no other distribution"
_LEAST: Final = float(np.finfo(float).tiny)
"""What a draw of chi-square is at the least: with few degrees of freedom it is below all numbers there are."""
_PADDED: Final = 1.0
"""Distance of padding from the row before it; it is multiplied by nothing."""


def check_share(name: str, prior: Prior) -> None:
    """Refuse a prior that leaves what lies between nothing and all."""
    low, high = prior.support
    if not 0 <= low < high <= 1:
        raise InvalidSpecification(f"{name}: has to lie between 0 and 1, say Uniform(lower=0, upper=1); found {prior}")


class Outliers(Strict):
    """Rows that may have gone wrong: each suspect has an error of its own beside all noise.

    The prior puts most of its mass where that error is nothing beside the noise, and the rest over orders of magnitude: a
    suspect is kept, or set aside, or half and half, as the posterior has it. Which rows are suspects is found when the model is
    fitted: see :mod:`bayes_scaling.inference.outliers`.

    Parameters
    ----------
    scale : Prior
        LogNormal prior on the standard deviation of the error of a suspect, a relative error.
    why : str
        Why, in a sentence.
    """

    scale: Prior
    why: str = ""

    @model_validator(mode="after")
    def _is_lognormal(self) -> Outliers:
        if self.scale.dist != "LogNormal":
            raise InvalidSpecification(f"outliers.scale: has to be LogNormal, found {self.scale.dist}")
        return self

    def sd(self, z: Any) -> Any:
        """Return the standard deviation of the error of a row, for its logarithm in units of the prior."""
        return exp(self.scale.arguments["mu"] + self.scale.arguments["sigma"] * z)

    def z(self, sd: Any) -> Any:
        """Return the logarithm of a standard deviation in units of the prior, the inverse of :meth:`sd`."""
        return (np.log(sd) - self.scale.arguments["mu"]) / self.scale.arguments["sigma"]


class Likelihood(Registered):
    """How measurements vary around the law: a distribution of the residual of the logarithm.

    Parameters
    ----------
    dist : str
        Name of the distribution: ``"Normal"``, ``"StudentT"``, or one that was added.
    on : {"log"}
        Scale of the residual: the logarithm of what was measured.
    sigma : Prior
        Prior on the residual standard deviation (the scale, for StudentT), a relative error.
    growth : Prior, optional
        Prior on the exponent g of the variance function: standard deviation and discrepancy go as
        sigma (expected / typical)^g. The same everywhere by default. Typical is the geometric mean of what was measured.
    floor : Prior, optional
        Prior, between 0 and 1, on the share of the standard deviation at the typical loss that is left where the loss is
        small, as the scatter of seeds does not vanish: see :func:`variance_function`. None by default.
    outliers : Outliers, optional
        Rows that went wrong, of a Normal likelihood; none by default.
    why : str
        Why this likelihood, in a sentence.
    """

    REGISTRY: ClassVar[Registry[type[Likelihood]]] = Registry("likelihood")
    KEY: ClassVar[str] = "dist"
    SCALE: ClassVar[str] = "sigma"
    """What PyMC calls the scale of the distribution of this name; its location is ``mu``."""
    integrates: ClassVar[bool] = False
    """Whether Normal effects are integrated out of it in closed form."""

    dist: str
    on: Literal["log"] = "log"
    sigma: Prior
    growth: Prior | None = None
    floor: Prior | None = None
    outliers: Outliers | None = None
    why: str = ""

    @model_validator(mode="after")
    def _has_a_place_for_outliers(self) -> Self:
        if self.floor is not None:
            if self.growth is None:
                raise InvalidSpecification("floor: applies only to noise that grows with the loss; give growth too")
            check_share("floor", self.floor)
        if self.outliers is not None and not self.integrates:
            raise InvalidSpecification(f"outliers: need a Normal likelihood; {self.dist} already allows for outliers")
        return self

    @property
    def unknowns(self) -> dict[str, Prior]:
        """Priors of what the distribution has beside its scale, by name."""
        return {}

    def arguments(self, draws: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the distribution's arguments beside location and scale, by PyMC's names."""
        return {}

    def standard(self, rng: np.random.Generator, shape: tuple[int, ...], **arguments: Any) -> np.ndarray:
        """Draw residuals at scale one."""
        raise NotImplementedError

    def log_density(self, z: np.ndarray, **arguments: Any) -> np.ndarray:
        """Return the log density of residuals at scale one."""
        raise NotImplementedError

    def quantile(self, prob: float, **arguments: Any) -> Any:
        """Return the quantile of residuals at scale one."""
        raise NotImplementedError

    def variance_inflation(self, **arguments: Any) -> Any:
        """Return the variance of the Normal that informs as much as this distribution at scale one: one over its information."""
        return 1.0


class Normal(Likelihood):
    """Normal residuals: shared effects are integrated out in closed form."""

    NAME: ClassVar[str] = "Normal"
    integrates: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _has_no_tail(cls, given: Any) -> Any:
        if isinstance(given, dict) and "nu" in given:
            raise InvalidSpecification(_NU)
        return given

    def standard(self, rng: np.random.Generator, shape: tuple[int, ...], **arguments: Any) -> np.ndarray:
        """Draw residuals at scale one."""
        return rng.standard_normal(shape)

    def log_density(self, z: np.ndarray, **arguments: Any) -> np.ndarray:
        """Return the log density of residuals at scale one."""
        return -0.5 * (z**2 + np.log(2 * np.pi))

    def quantile(self, prob: float, **arguments: Any) -> Any:
        """Return the quantile of residuals at scale one."""
        from scipy.special import ndtri  # some tenths of a second that a stored fit is queried without

        return float(ndtri(prob))


class StudentT(Likelihood):
    """Student-t residuals: the heavy tail keeps single bad runs from steering the fit.

    Parameters
    ----------
    nu : Prior or float
        Degrees of freedom.
    """

    NAME: ClassVar[str] = "StudentT"

    nu: Prior | float | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> StudentT:
        if self.nu is None:
            raise InvalidSpecification(_NU)
        if isinstance(self.nu, float) and self.nu <= 0:
            raise InvalidSpecification(f"nu has to be positive, found {self.nu:g}")
        return self

    @property
    def unknowns(self) -> dict[str, Prior]:
        """The degrees of freedom, where they are unknown."""
        return {"nu": self.nu} if isinstance(self.nu, Prior) else {}

    def arguments(self, draws: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the degrees of freedom."""
        return {"nu": draws["nu"] if isinstance(self.nu, Prior) else self.nu}

    def standard(self, rng: np.random.Generator, shape: tuple[int, ...], **arguments: Any) -> np.ndarray:
        """Draw residuals at scale one."""
        nu = np.broadcast_to(arguments["nu"], shape)
        normal = rng.standard_normal(shape)
        return normal * (nu / np.maximum(rng.chisquare(nu), _LEAST)) ** 0.5

    def log_density(self, z: np.ndarray, **arguments: Any) -> np.ndarray:
        """Return the log density of residuals at scale one."""
        nu = np.asarray(arguments["nu"], float)
        if nu.ndim:
            from scipy.special import poch  # some tenths of a second that a stored fit is queried without

            constant = np.log(poch(nu / 2, 0.5))
        else:
            constant = lgamma((nu + 1) / 2) - lgamma(nu / 2)
        return constant - 0.5 * np.log(np.pi * nu) - 0.5 * (nu + 1) * np.log1p(z**2 / nu)

    def quantile(self, prob: float, **arguments: Any) -> Any:
        """Return the quantile of residuals at scale one, at the median of the degrees of freedom."""
        from scipy.special import stdtrit  # as above

        return float(stdtrit(float(np.median(arguments["nu"])), prob))

    def variance_inflation(self, **arguments: Any) -> Any:
        """Return one over the Fisher information of the location."""
        return (arguments["nu"] + 3) / (arguments["nu"] + 1)


class Correlation(Strict):
    """Serial correlation of residuals along one run: an Ornstein-Uhlenbeck process in the logarithm of a column.

    Two rows a distance d apart in the logarithm have residuals with correlation share + (1 - share) exp(-d / length), where
    the share is that of the run, which lasts. Each row's own error, its standard error and the nugget, stands outside the
    correlated part.

    Parameters
    ----------
    along : str
        Column whose logarithm is the distance between rows.
    by : str
        Column that tells runs apart; residuals of different runs are independent.
    length : Prior
        Prior on the length over which the correlation falls to 1/e.
    run_share : Prior, optional
        Prior, between 0 and 1, on the share of the variance that a whole run has in common, however far apart its rows lie;
        nothing by default.
    nugget : Prior, optional
        Prior on the standard deviation of a row's own error beside its standard error, a relative error at the typical
        loss; none by default. It keeps one spiked checkpoint from being impossible.
    why : str
        Why, in a sentence.
    """

    along: str = "steps"
    by: str = "run_id"
    length: Prior
    run_share: Prior | None = None
    nugget: Prior | None = None
    why: str = ""

    @model_validator(mode="after")
    def _share_is_one(self) -> Correlation:
        if self.run_share is not None:
            check_share("run_share", self.run_share)
        return self


def standard_deviation(sigma: Any, error: Any, growth: Any = 1.0) -> Any:
    """Return the standard deviation of the log residual: noise, grown by the variance function, and error, in quadrature.

    >>> standard_deviation(0.003, 0.004)
    0.005
    """
    return ((sigma * growth) ** 2 + error**2) ** 0.5


def variance_function(expected: Any, typical: Any, exponent: Any, floor: Any = None) -> Any:
    """Return the factor by which noise and discrepancy are larger where a loss is expected than at the typical one.

    With a floor f it is (f^2 + (1 - f^2) (expected / typical)^(2 exponent))^(1/2), never below f.

    >>> variance_function(4.0, 2.0, 2.0)
    4.0
    >>> round(variance_function(1.0, 2.0, 10.0, 0.5), 6)
    0.500001
    """
    grown = (expected / typical) ** exponent
    return grown if floor is None else (floor**2 + (1.0 - floor**2) * grown**2) ** 0.5


def geometric_mean(values: Any) -> float:
    """Return the geometric mean.

    >>> round(geometric_mean([2.0, 8.0]), 9)
    4.0
    """
    return float(np.exp(np.log(np.asarray(values, float)).mean()))


def relative_error(table: pd.DataFrame, measured: str = "loss") -> np.ndarray:
    """Return each row's standard error over what was measured, zero where the table has none.

    >>> relative_error(pd.DataFrame({"loss": [2.0, 4.0], "loss_se": [0.01, None]}))
    array([0.005, 0.   ])
    """
    column = f"{measured}_se"
    if column not in table:
        return np.zeros(len(table))
    return (table[column] / table[measured]).fillna(0.0).to_numpy(float)


def typical_error(errors: np.ndarray) -> float:
    """Return the standard error a new run would have: the median of those that are stated, zero where none is.

    >>> typical_error(np.array([0.0, 0.01, 0.03]))
    0.02
    """
    stated = errors[errors > 0]
    return float(np.median(stated)) if stated.size else 0.0


def serial_of(table: pd.DataFrame, correlation: Correlation | None) -> Serial | None:
    """Return which rows of a table follow each other along a run, or None where no two do.

    Two rows of a run at one place are refused.

    >>> length = Prior(dist="LogNormal", mu=0.0, sigma=1.0)
    >>> points = pd.DataFrame({"run_id": ["a", "b", "a"], "steps": [20.0, 5.0, 10.0]})
    >>> serial = serial_of(points, Correlation(length=length))
    >>> serial.rows.tolist(), serial.alone.tolist(), serial.distance[0, 0, 1].round(3)
    ([[2, 0]], [1], np.float64(0.693))
    """
    if correlation is None or not {correlation.along, correlation.by} <= set(table):
        return None
    along = pd.to_numeric(table[correlation.along], errors="coerce").to_numpy(float)
    runs = table[correlation.by]
    stated = np.flatnonzero((runs.notna() & (runs.map(str) != "") & np.isfinite(along)).to_numpy())
    blocks = []
    for label, members in table.iloc[stated].groupby(correlation.by, sort=False).indices.items():
        rows = stated[members]
        ordered = rows[np.argsort(along[rows], kind="stable")]
        steps = np.diff(np.log(along[ordered]))
        if (steps <= 0).any():
            raise InvalidModel(
                f"Two rows of run {label!r} have {correlation.along} {along[ordered[:-1][steps <= 0][0]]:g}: keep one of "
                f"them."
            )
        if len(ordered) > 1:
            blocks.append(ordered)
    if not blocks:
        return None
    lengths = np.array([len(block) for block in blocks])
    there = (np.arange(lengths.max()) < lengths[:, None]).astype(float)
    rows = np.zeros(there.shape, dtype=int)
    rows[there > 0] = np.concatenate(blocks)
    at = np.log(np.where(there > 0, along[rows], 1.0))
    ends = np.take_along_axis(at, lengths[:, None] - 1, axis=1)
    at = np.where(there > 0, at, ends + _PADDED * (np.arange(lengths.max()) - lengths[:, None] + 1))
    alone = np.setdiff1d(np.arange(len(table)), np.concatenate(blocks))
    return Serial(rows, there, at, alone)
