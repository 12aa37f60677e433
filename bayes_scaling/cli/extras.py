"""Options of verbs beyond their question: write a page, or run the pre-posterior check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bayes_scaling.cli.printing import say

if TYPE_CHECKING:
    from bayes_scaling.questions.base import Answer

_REFITS: Final = 4
"""Outcomes of the pre-posterior check by default: 5 to 7 seconds of processor time for 26 runs, some 20 for 300 to 1000."""
_DRAWS: Final = 500
"""Draws of each chain of a refit: over three seeds on one fit, shares of the risk differed by 0.04 to 0.06."""
_MOST_ROWS: Final = 1000
"""Rows up to which refits are made by default."""


@dataclass(frozen=True)
class Extra:
    """One more option of a verb: ``apply`` goes from posterior, question, answer and value to the answer, and notes by name.

    It is applied where the option is given, or always.
    """

    name: str
    annotation: Any
    apply: Callable[[Any, Any, Answer, Any], tuple[Answer, dict[str, Any]]]
    always: bool = False


def _decision(posterior: Any, question: Any, answer: Answer, page: Path) -> tuple[Answer, dict[str, Any]]:
    from bayes_scaling.report.decision import write_decision  # half a second of imports that no other answer needs

    return answer, {"page": str(write_decision(posterior.for_loss(), question, answer, page).resolve())}


def _refits(posterior: Any, question: Any, answer: Answer, times: int | None) -> tuple[Answer, dict[str, Any]]:
    """Run the pre-posterior check: sample a posterior for each of several simulated outcomes of the first run."""
    from bayes_scaling.inference.progress import progress_bar
    from bayes_scaling.inference.sample import fit as sample
    from bayes_scaling.questions.preposterior import refits

    fit, first = posterior.for_loss(), answer.tables["candidates"].iloc[0]
    quick = "importance" in fit.tree and len(fit.table) <= _MOST_ROWS
    if times is None and not quick:
        say(f"The pre-posterior check takes minutes for this posterior and was left out; --refits {_REFITS} runs it.")
    times = (_REFITS if quick else 0) if times is None else times
    if not times:
        return answer, {}
    # The priors stay where they are: a new run would move a reference point that is the mean of the runs.
    model = fit.model.at_reference(fit.reference)
    settings: dict[str, Any] = {"sampler": "importance", "draws": _DRAWS} if quick else {}
    with progress_bar() as show:
        done = 0

        def again(runs: Any) -> Any:
            nonlocal done
            show("refits with simulated outcomes", done / times)
            done += 1
            return sample(runs, model, seed=question.seed, progress=False, **settings)

        table = refits(fit, first, question.about, again, group=question.group, seed=question.seed, times=times)
    failed = int((~table["converged"]).sum())
    sentence = (
        f"Pre-posterior check: {times} posteriors with simulated outcomes of the first run remove {round(100 * table.attrs['share'])} % of the "
        f"risk, expected {round(100 * first['share'])} %{f' ({failed} have not converged)' if failed else ''}."
    )
    return replace(answer, sentence=f"{answer.sentence}\n{sentence}", tables={**answer.tables, "refits": table}), {}


EXTRAS: Final[dict[str, tuple[Extra, ...]]] = {
    "decide": (
        Extra(
            "page",
            Annotated[
                Path | None,
                typer.Option(
                    "--out",
                    metavar="DECISION.html",
                    help="Also write the decision as a page, for the person who approves it.",
                ),
            ],
            _decision,
        ),
    ),
    "next-run": (
        Extra(
            "refits",
            Annotated[
                int | None,
                typer.Option(
                    min=0,
                    help="Pre-posterior check: number of simulated outcomes of the first run, each fitted anew; by default "
                    f"{_REFITS} where importance sampling takes seconds, 0 for none.",
                ),
            ],
            _refits,
            always=True,
        ),
    ),
}
"""Options of verbs beyond their question, by verb."""
