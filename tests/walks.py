"""The covariance of a random walk along a quantity, worked out from its words and not from its basis."""

from __future__ import annotations

import numpy as np

LEFT_OUT = 0.01
"""What directions that rows do not tell apart may add together, at scale one."""


def walk_covariance(column: np.ndarray, smooth: float, origin: float | None = None) -> np.ndarray:
    """Return the covariance at rows of a walk of a unit of variance a decade, averaged, and zero at the origin, by default their middle.

    Steps are ``smooth`` decades long; between its knots the walk is straight, and it is averaged over as many decades: the
    knots around a place have the weights of a quadratic spline. Directions of small variance are left out.
    """
    decades = np.log10(np.asarray(column, float))
    place = np.append((decades - (decades.mean() if origin is None else origin)) / smooth, 0.0)
    knots = np.arange(np.floor(place.min()) - 2, np.ceil(place.max()) + 3)
    off = np.abs(place[:, None] - knots)
    weights = np.where(off < 0.5, 0.75 - off**2, np.where(off < 1.5, 0.5 * (1.5 - off) ** 2, 0.0))
    at_knots = smooth * np.minimum(knots[:, None] - knots[0], knots - knots[0])
    from_middle = weights[:-1] - weights[-1]
    covariance = from_middle @ at_knots @ from_middle.T
    variances, directions = np.linalg.eigh(covariance)
    left = np.sqrt(np.cumsum(np.maximum(variances, 0.0)) / len(variances))  # from the smallest on
    kept = left > LEFT_OUT
    return (directions[:, kept] * variances[kept]) @ directions[:, kept].T


def zero_of_several(column: np.ndarray, smooth: float) -> float:
    """Return the decade at which walks of several labels are zero: the middle of all rows, or, where a row lies there, the middle of the
    wider of the gaps beside it."""
    decades = np.log10(np.asarray(column, float))
    middle, places = float(decades.mean()), sorted(set(decades.tolist()))
    at = min(range(len(places)), key=lambda number: abs(places[number] - middle))
    if abs(places[at] - middle) > smooth or len(places) == 1:
        return middle
    below, above = (places[low : low + 2] for low in (at - 1, at)) if at else ([], places[:2])
    gaps = [pair for pair in (below, above) if len(pair) == 2]
    return sum(max(gaps, key=lambda pair: pair[1] - pair[0])) / 2
