"""Options of verbs beyond their question: write a page, or run the pre-posterior check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from bayes_scaling.questions.base import Answer


@dataclass(frozen=True)
class Extra:
    """One more option of a verb: ``apply`` goes from posterior, question, answer and value to the answer, and notes by name."""

    name: str
    annotation: Any
    apply: Callable[[Any, Any, Answer, Any], tuple[Answer, dict[str, Any]]]


def _decision(posterior: Any, question: Any, answer: Answer, page: Path) -> tuple[Answer, dict[str, Any]]:
    from bayes_scaling.report.decision import write_decision  # half a second of imports that no other answer needs

    return answer, {"page": str(write_decision(posterior.for_loss(), question, answer, page).resolve())}


def _refits(posterior: Any, question: Any, answer: Answer, times: int) -> tuple[Answer, dict[str, Any]]:
    """Run the pre-posterior check: sample a posterior for each of several simulated outcomes of the first run."""
    from bayes_scaling.inference.sample import fit as sample
    from bayes_scaling.questions.preposterior import refits

    def again(runs: Any) -> Any:
        return sample(runs, fit.model, seed=question.seed)

    fit, first = posterior.for_loss(), answer.tables["candidates"].iloc[0]
    table = refits(fit, first, question.about, again, group=question.group, seed=question.seed, times=times)
    failed = int((~table["converged"]).sum())
    sentence = (
        f"Pre-posterior check: {times} posteriors with simulated outcomes of the first run remove {100 * table.attrs['share']:.0f} % of the "
        f"risk, expected {100 * first['share']:.0f} %{f' ({failed} have not converged)' if failed else ''}."
    )
    return replace(answer, sentence=f"{answer.sentence}\n{sentence}", tables={**answer.tables, "refits": table}), {}


EXTRAS: Final[dict[str, tuple[Extra, ...]]] = {
    "decide": (
        Extra(
            "page",
            Annotated[
                Path | None, typer.Option("--out", metavar="DECISION.html", help="Write the page for the person who signs.")
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
                    min=1,
                    help="Pre-posterior check: simulated outcomes of the first run, each with a posterior of its own; minutes.",
                ),
            ],
            _refits,
        ),
    ),
}
"""Options of verbs beyond their question, by verb."""
