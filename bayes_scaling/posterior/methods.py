"""Functions of the package as methods of what they are asked of: each is the public function, and nothing besides.

This room knows no question and no report. It takes both from the public namespace, which imports a name when it is first
asked for, as a user does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bayes_scaling

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Answering:
    """What answers questions: a fit or a mixture."""

    def predict(self, **inputs: Any) -> xr.Dataset:
        """Predict the loss of runs: see :func:`~bayes_scaling.predict`.

        >>> from bayes_scaling.posterior.examples import example_fit
        >>> round(float(example_fit().predict(params=7e10, tokens=1.4e12)["expected_loss"].median()), 2)
        1.97
        """
        return bayes_scaling.predict(self, **inputs)  # pyright: ignore[reportArgumentType]

    @cached_property
    def ask(self) -> Asking:
        """Ask a question by its name, or as a method: see :func:`~bayes_scaling.ask`.

        >>> from bayes_scaling.posterior.examples import example_fit
        >>> fit = example_fit()
        >>> print(fit.ask("target", target=2.0, compute=[1e24]))
        1e24 FLOP, beyond the runs by 1.92 decades in C, reach 2 nats/token with a probability of 0.97.
        >>> str(fit.ask.target(target=2.0, compute=[1e24])) == str(fit.ask("target", target=2.0, compute=[1e24]))
        True
        """
        return Asking(self)


class FitMethods(Answering):
    """What a fit has beside."""

    def check(self) -> pd.DataFrame:
        """Return the checks of convergence and adequacy: see :func:`~bayes_scaling.check`.

        >>> from bayes_scaling.posterior.examples import example_fit
        >>> example_fit().check().columns.tolist()[:3]
        ['check', 'about', 'value']
        """
        return bayes_scaling.check(self)  # pyright: ignore[reportArgumentType]

    def report(self, path: str | Path, **options: Any) -> Path:
        """Write the report of the fit: see :func:`~bayes_scaling.write_report`."""
        return bayes_scaling.write_report(self, path, **options)  # pyright: ignore[reportArgumentType]

    @cached_property
    def plot(self) -> Plotting:
        """Draw the forecast, or another figure as a method: see :mod:`bayes_scaling.plots`.

        >>> from bayes_scaling.posterior.examples import example_fit
        >>> figure = example_fit().plot()  # or fit.plot.forecast()
        """
        return Plotting(self)

    def _repr_html_(self) -> str:
        from bayes_scaling.posterior.shown import shown  # which imports Fit

        return shown(self)  # pyright: ignore[reportArgumentType]

    def with_groups(self, *groups: str, seed: int = 0) -> Any:
        """Return the fit with further groups in its tree: see :func:`~bayes_scaling.posterior.arviz.with_groups`.

        >>> from bayes_scaling.posterior.examples import example_fit
        >>> "log_prior" in example_fit().with_groups("log_prior").tree
        True
        """
        from bayes_scaling.posterior.arviz import with_groups  # which imports Fit

        return with_groups(self, *groups, seed=seed)  # pyright: ignore[reportArgumentType]


class Asking:
    """Every question of a posterior, as a call by its name and as a method."""

    def __init__(self, posterior: Any) -> None:
        self._posterior = posterior

    def __call__(self, question: str, **given: Any) -> bayes_scaling.Answer:
        """Ask the question of a name."""
        return bayes_scaling.ask(self._posterior, question, **given)

    def __getattr__(self, name: str) -> Callable[..., bayes_scaling.Answer]:
        """Return the question of a name, its hyphens written as underscores."""
        question = name.replace("_", "-")
        if name.startswith("_") or question not in bayes_scaling.questions.QUESTIONS:
            raise AttributeError(f"There is no question {question!r}: bs.questions.QUESTIONS has all of them.")
        return partial(bayes_scaling.ask, self._posterior, question)

    def __dir__(self) -> list[str]:
        """Return the names of the questions, for completion."""
        return [name.replace("-", "_") for name in bayes_scaling.questions.QUESTIONS]


class Plotting:
    """Every figure of a fit; called, it is the forecast."""

    def __init__(self, fit: Any) -> None:
        self._fit = fit

    def __call__(self, **options: Any) -> Any:
        """Return the figure of the forecast."""
        return bayes_scaling.plots.forecast(self._fit, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the figure of a name."""
        if name not in bayes_scaling.plots.__all__:
            raise AttributeError(f"There is no figure {name!r}: {', '.join(bayes_scaling.plots.__all__)}.")
        return partial(getattr(bayes_scaling.plots, name), self._fit)

    def __dir__(self) -> list[str]:
        """Return the names of the figures, for completion."""
        return list(bayes_scaling.plots.__all__)
