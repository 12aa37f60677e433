"""The errors a user can meet: each a sentence with the place, what was found, and what would be right."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable


_LONGEST: Final = 300
"""Characters of what another library says of bad input that a sentence repeats."""


class BayesScalingError(ValueError):
    """Base of every error this package raises on purpose: catch this one to catch ours and only ours.

    Its sentence is for people, and may change. Its class is for programs: those below it say more closely what is wrong, and
    ``code`` is the name of the class, as the service gives it.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> try:
    ...     bs.read_model("chinchila")
    ... except bs.BayesScalingError as error:
    ...     print(error)
    ...     print(error.code)
    There is no model 'chinchila': did you mean 'chinchilla'? Valid: best_rate, ...
    unknown-name
    """

    @property
    def code(self) -> str:
        """The kind of error: the name of its class, such as ``missing-column``."""
        return re.sub("(?!^)(?=[A-Z])", "-", type(self).__name__).lower()


class InvalidQuantity(BayesScalingError):
    """A number has no meaning as the quantity it is given for."""


@dataclass(frozen=True)
class BadCell:
    """One cell of a run table that cannot be used."""

    row: int | None
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        place = self.column if self.row is None else f"row {self.row}, {self.column}"
        return f"{place}: {self.reason} (found {self.value})"


class InvalidRuns(BayesScalingError):
    """A run table cannot be used; ``failures`` lists every bad cell at once, in the order of the rows."""

    _SHOWN = 20

    def __init__(self, message: str, failures: Iterable[BadCell] = ()) -> None:
        self.failures = tuple(failures)
        lines = [message, *(f"  {cell}" for cell in self.failures[: self._SHOWN])]
        hidden = len(self.failures) - self._SHOWN
        if hidden > 0:
            lines.append(f"  ... and {hidden} more bad cells.")
        super().__init__("\n".join(lines))


class MissingSource(InvalidRuns):
    """There is no file, or database, where runs or what is said of them were looked for."""


class UnreadableSource(InvalidRuns):
    """A file, database or project is damaged, out of reach, or not of the form that it should be."""


class UnknownFormat(InvalidRuns):
    """A file, folder or chart is of a kind from which no runs are read."""


class AmbiguousSource(InvalidRuns):
    """A folder holds logs of several kinds."""


class MissingLibrary(InvalidRuns):
    """Runs are read by a library that is not installed."""


class TooLarge(InvalidRuns):
    """A file or a table is larger than what is read."""


class MissingColumn(InvalidRuns):
    """Runs lack a column that is needed, and have nothing from which it follows."""


class RepeatedColumn(InvalidRuns):
    """A table has a column twice, or one of its columns was named for two."""


class BadCells(InvalidRuns):
    """Cells of a table cannot be used: its ``failures``."""


class NoRows(InvalidRuns):
    """A table has no rows, or none is left."""


class RepeatedRun(InvalidRuns):
    """A run stands twice in a table, or two runs have one name."""


class TooFewRuns(InvalidRuns):
    """There are too few runs of a kind to tell what is asked."""


class SeveralLosses(InvalidRuns):
    """Several columns may be the loss."""


class NotALoss(InvalidRuns):
    """What is given for the loss is a score, or a perplexity."""


class ImplausibleValues(InvalidRuns):
    """Numbers are none that language models have, in the unit that they should be in."""


class MixedUnits(InvalidRuns):
    """Losses of one table are in several units."""


class InvalidCondition(InvalidRuns):
    """A condition on rows is not of its grammar, or does not fit the table."""


class InvalidSpecification(BayesScalingError):
    """A model document is wrong by itself, whatever the data."""


class InvalidModel(BayesScalingError):
    """A model document and a run table do not go together."""


class InvalidGrouping(InvalidModel):
    """A column by which a model varies is missing, or has no groups that could be told apart."""


class InvalidPin(InvalidModel):
    """A parameter cannot be held, or given a prior, as it was asked for."""


class InvalidFit(BayesScalingError):
    """A fit file is missing, damaged, or not one of ours."""


class MissingFit(InvalidFit):
    """There is no fit where one was looked for."""


class DamagedFit(InvalidFit):
    """A file is no whole fit, or is not as it was written."""


class InvalidRequest(BayesScalingError):
    """A prediction or a decision was asked for that the fit cannot answer."""


class OutOfRange(InvalidRequest):
    """A number of a request has no meaning there, such as a probability above one or a negative amount."""


class MissingOption(InvalidRequest):
    """A request says too little: one of several things has to be given."""


class ConflictingOptions(InvalidRequest):
    """A request says things that exclude each other, or something that it has no use for."""


class InvalidInputs(InvalidRequest):
    """Runs, points or values that came with a request lack something, or cannot be used."""


class InvalidFields(InvalidRequest):
    """Fields of a question are wrong: its ``fields``; ``rules`` are the sentences without the values that were given."""

    def __init__(self, message: str, *, rules: tuple[str, ...] = (), fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.rules, self.fields = rules, fields


class WrongPosterior(InvalidRequest):
    """A request is for another kind of posterior: a fit, a mixture, or one observation of several."""


class NotLearned(InvalidRequest):
    """The model of a fit tells nothing of what is asked: its law is of other quantities, or it has no groups, curves or compute."""


class Unreachable(InvalidRequest):
    """No size, batch, budget or set of runs does what is asked."""


class BeyondMachine(InvalidRequest):
    """A request takes more memory or time than this machine has."""


class InvalidLedger(InvalidRequest):
    """A ledger, or a signature of it, is missing, damaged, or was changed."""


class InvalidResults(InvalidRequest):
    """What a batch or another verb left is not as it was written."""


class Unwritable(BayesScalingError):
    """A result cannot be written where it was asked for."""


class UnknownName(BayesScalingError):
    """A law, model, data set or published record was asked for by a name that does not exist."""


class UnknownEntry(InvalidRuns, UnknownName):
    """Something about runs, such as a field of a card, a kind of source or a unit, has a name that does not exist."""


class UnknownChoice(InvalidRequest, UnknownName):
    """Something in a request, such as a group, a question or a baseline, has a name that does not exist."""


class UnknownUnit(UnknownEntry):
    """A unit of the loss is none there is."""


class BayesScalingWarning(UserWarning):
    """Base of every warning of this package.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore", BayesScalingWarning)  # ours, and only ours
    """


class InconsistentComputeWarning(BayesScalingWarning):
    """Compute in a run table is far from 6 N D."""


class CheckpointWarning(BayesScalingWarning):
    """A fit takes points along a run for runs."""


class RepeatedRunsWarning(BayesScalingWarning):
    """A run table has rows that repeat another under another name."""


class ImplausibleCountsWarning(BayesScalingWarning):
    """A column of counts has numbers that are too small for what it counts, as counts in millions are."""


class MissingResourceWarning(BayesScalingWarning):
    """A table lacks a resource by its name, but has a column that may be it."""


class DivergedRunsWarning(BayesScalingWarning):
    """A run table has rows whose loss is that of guessing."""


class NotConvergedWarning(BayesScalingWarning):
    """A posterior failed a convergence check: nothing derived from it can be relied on."""


class NewGroupWarning(BayesScalingWarning):
    """A prediction is for a group the fit has not seen."""


@contextmanager
def gathered_warnings(*, but: tuple[type[BayesScalingWarning], ...] = ()) -> Generator[list[str]]:
    """Give a list that holds, after the block, what our warnings in it said, each once; those of others are not shown.

    >>> with gathered_warnings() as said:
    ...     warnings.warn("Twice.", NewGroupWarning)
    ...     warnings.warn("Twice.", NewGroupWarning)
    >>> said
    ['Twice.']
    """
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", BayesScalingWarning)
        for kind in but:
            warnings.simplefilter("ignore", kind)
        try:
            yield said
        finally:
            said += dict.fromkeys(str(warning.message) for warning in caught)


@contextmanager
def caveats_from(kind: type[BayesScalingWarning]) -> Generator[list[str]]:
    """Give a list that holds, after the block, what warnings of one kind in it said, each once; all others are given as they were.

    >>> with caveats_from(NewGroupWarning) as said:
    ...     warnings.warn("Nobody trained it.", NewGroupWarning)
    >>> said
    ['Nobody trained it.']
    """
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    for warning in caught:
        if not issubclass(warning.category, kind):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif str(warning.message) not in said:
            said.append(str(warning.message))


def choose(name: object, valid: Iterable[object]) -> str:
    """Say what would be right in place of ``name``: a near miss first, then all the choices.

    >>> choose("chinchila", ["chinchilla", "kappa"])
    "did you mean 'chinchilla'? Valid: chinchilla, kappa"
    """
    choices = sorted(map(str, valid))
    near = get_close_matches(str(name), choices, n=1)
    hint = f"did you mean '{near[0]}'? Valid" if near else "valid"
    return f"{hint}: {', '.join(choices) or 'none'}"


def first_fault(error: Exception) -> str:
    r"""Return what is wrong, as another library found it, in one line of bounded length.

    >>> first_fault(ValueError("no number\nat all")), first_fault(KeyError("loss")), len(first_fault(ValueError("x" * 1000)))
    ('no number', 'loss is missing', 303)
    """
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}" if place else first["msg"]
    elif isinstance(error, RecursionError):
        said = "it is nested too deeply"
    elif isinstance(error, KeyError):
        said = f"{error.args[0] if error.args else 'an entry'} is missing"
    else:
        said = str(getattr(error, "strerror", None) or error)
    line = (said.splitlines() or [type(error).__name__])[0].rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
