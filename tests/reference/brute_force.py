"""What a fit's draws say of losses, in plain numpy: own formulas of the laws, own noise, own grids; last dimension the draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import bayes_scaling as bs


def flat(fit: Any, **group: str) -> dict[str, np.ndarray]:
    """Return the posterior as plain arrays, one number a draw, of one group where there are groups."""
    draws = fit.posterior
    if group:
        draws = draws.sel({name: label for name, label in group.items() if name in draws.dims}, drop=True)
    return {
        str(n): v.transpose("chain", "draw").values.ravel() for n, v in draws.items() if set(v.dims) == {"chain", "draw"}
    }


class Chinchilla:
    """E + A N^-alpha + B D^-beta, and Student-t residuals of the logarithm."""

    def __init__(self, fit: Any, **group: str) -> None:
        self.fit, self.group, self.of = fit, group, flat(fit, **group)

    def beside(self, N: Any, D: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return N and D over their geometric means in the table, where terms are stated."""
        middle = np.exp(np.log(self.fit.table[["params", "tokens"]]).mean())
        return np.asarray(N)[..., None] / middle["params"], np.asarray(D)[..., None] / middle["tokens"]

    def law(self, N: Any, D: Any) -> np.ndarray:
        (n, d), p = self.beside(N, D), self.of
        return p["E"] + p["A_at_reference"] * n ** -p["alpha"] + p["B_at_reference"] * d ** -p["beta"]

    def expected(self, N: Any, D: Any) -> np.ndarray:
        return self.law(N, D)

    def spread(self, law: np.ndarray) -> Any:
        """Return the scale of the residual of a new run."""
        return self.of["sigma"]

    def noise(self) -> np.ndarray:
        """Return the residual of the new run at scale one, which is the same at every size: read off one prediction."""
        one = bs.predict(self.fit, params=1e5, tokens=1e7, group=self.group or None)
        ratio = (one["measured_loss"] / one["expected_loss"]).transpose("chain", "draw").values.ravel()
        return np.log(ratio) / self.spread(self.law(1e5, 1e7))

    def measured(self, N: Any, D: Any) -> np.ndarray:
        return self.expected(N, D) * np.exp(self.spread(self.law(N, D)) * self.noise())


class Kappa(Chinchilla):
    """E + (A N^-a + B D^-b)^kappa, and Normal residuals that grow with the loss."""

    def law(self, N: Any, D: Any) -> np.ndarray:
        (n, d), p = self.beside(N, D), self.of
        of_size = p["A_at_reference"] ** (1 / p["kappa"]) * n ** -p["a"]
        return p["E"] + (of_size + p["B_at_reference"] ** (1 / p["kappa"]) * d ** -p["b"]) ** p["kappa"]

    def growth(self, law: np.ndarray) -> np.ndarray:
        typical = np.exp(np.log(self.fit.table["loss"]).mean())
        return np.sqrt(self.of["floor"] ** 2 + (1 - self.of["floor"] ** 2) * (law / typical) ** (2 * self.of["growth"]))

    def spread(self, law: np.ndarray) -> Any:
        return np.hypot(self.of["sigma"], self.of["noise_scale_recipe"]) * self.growth(law)


class Walked(Kappa):
    """Kappa with its model discrepancy: the walk is a function of N, one of D and one of C, which predictions tell."""

    def expected(self, N: Any, D: Any) -> np.ndarray:
        N, D = np.broadcast_arrays(np.asarray(N, float), np.asarray(D, float))
        losses = bs.predict(self.fit, params=N.ravel(), tokens=D.ravel(), anyway=True)["expected_loss"]
        found = losses.transpose("query", "chain", "draw").values
        return found.reshape(*N.shape, -1)


def first(reached: Callable[[np.ndarray], np.ndarray], low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
    """Return by bisection where a condition, false below and true above, begins; infinite where it never does."""
    below, above = np.full(shape, np.log(low)), np.full(shape, np.log(high))
    never = ~reached(np.exp(above))
    for _ in range(40):
        middle = (below + above) / 2
        there = reached(np.exp(middle))
        below, above = np.where(there, below, middle), np.where(there, middle, above)
    return np.where(never, np.inf, np.exp(above))
