"""The application that verbs are registered with."""

from __future__ import annotations

from typing import Annotated

import typer

from bayes_scaling.cli.questions import Verbs

app = typer.Typer(
    name="bayes-scaling",
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from bayes_scaling import __version__

        print(f"bayes-scaling {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Bayesian scaling laws: from measured training runs to calibrated forecasts and compute budgets."""
