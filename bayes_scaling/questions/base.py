"""What every question has, and every answer: guardrails first, then a sentence, numbers and tables.

To add a question, write one file with a subclass of :class:`Question`: its ``name`` is the verb, its docstring the help,
its fields the options. The command line, requests and this registry follow from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, get_origin

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import AliasChoices, Field, ValidationError
from pydantic.fields import FieldInfo
from threadpoolctl import threadpool_limits

from bayes_scaling import display
from bayes_scaling.errors import (
    ConflictingOptions,
    InvalidFields,
    InvalidRequest,
    NewGroupWarning,
    UnknownChoice,
    caveats_from,
    choose,
)
from bayes_scaling.model.document import Strict
from bayes_scaling.model.priors import Prior
from bayes_scaling.posterior.fit import Kind
from bayes_scaling.posterior.protocol import Posterior, accepted
from bayes_scaling.quantities import RESOURCES
from bayes_scaling.questions.guardrails import (
    FURTHEST,
    beyond,
    budget_notes,
    caveats,
    distances,
    refuse_unless,
    stated_distances,
    too_far,
    worst_distances,
)
from bayes_scaling.questions.registry import LOADED, entries, find
from bayes_scaling.questions.surface import Supply, Text
from bayes_scaling.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Positive = Annotated[float, Field(gt=0)]
"""Item of a list of positive numbers."""
ENDS: Final = ("median", "lower", "upper")
"""Names of what an interval has, in the order of :func:`~bayes_scaling.posterior.predict.interval`."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to a question.

    Parameters
    ----------
    sentence : str
        In words.
    values : mapping
        Numbers and labels that stand at the top level of the JSON.
    tables : mapping of str to DataFrame
        In numbers.
    data : Dataset, optional
        Draws, no part of the JSON.
    caveats : list of str
        Reasons not to rely on it.
    overridden : tuple of str
        Those of them that would have refused it.
    about : mapping
        The question, its fields that are not the default, the fit's unit, its verdict and digests, and how many decades what is
        asked for, or answered, lies beyond its runs.
    draw : callable, optional
        From the answer to its figure; a function of a module, or a partial of one, so that an answer can be pickled.
    compute : float, optional
        Compute that the answer came to, FLOP, where it was not asked for: its extrapolation distance is checked.
    passed : bool, optional
        Whether what was asked for is so, where the question is a gate: the command line exits with 1 where it is not.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> answer = bs.ask(example_fit(), "target", target=2.0, compute=[1e24])
    >>> print(answer)
    1e24 FLOP, beyond the runs by 1.92 decades in C, reach 2 nats/token with a probability of 0.97.
    >>> list(answer.tables), answer.to_dict()["question"]
    (['chances'], 'Target')
    """

    sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    data: xr.Dataset | None = None
    caveats: list[str] = field(default_factory=list)
    overridden: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Answer], Figure] | None = None
    compute: float | None = None
    passed: bool | None = None

    def figure(self) -> Figure:
        """Return the figure of the answer.

        Raises
        ------
        InvalidRequest
            If it has none.
        """
        if self.draw is None:
            raise InvalidRequest(
                f"{self.about.get('question', 'This question')} has no figure: its tables have the numbers."
            )
        return self.draw(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the draws as plain values, for JSON; what is not finite is None."""
        gate = {} if self.passed is None else {"passed": self.passed}
        return plain(
            {**self.about, **self.values, **gate, "sentence": self.sentence, "caveats": self.caveats}
            | {name: records(table) for name, table in self.tables.items()}
        )

    def __str__(self) -> str:
        """Return the answer for people: caveats first."""
        marked = (f"AGAINST ADVICE: {caveat}" if caveat in self.overridden else caveat for caveat in self.caveats)
        return "\n".join([*marked, self.sentence])

    def __repr__(self) -> str:
        return f"<Answer to {self.about.get('question', 'a question')}: {self.sentence.partition(chr(10))[0]}>"

    def _repr_html_(self) -> str:
        said = [display.paragraph(caveat, strong=True) for caveat in self.caveats] + [display.paragraph(self.sentence)]
        tables = {
            name: display.table(rows, index=bool(rows.index.name), number=lambda value: number(value, 4))
            for name, rows in self.tables.items()
        }
        return "".join(said) + display.titled(tables)


class Question(Strict):
    """What every question has; a subclass says ``name`` and ``panel``, adds its fields, and answers in ``_result``.

    Fields take sequences, arrays and tables, and one number for several; None counts as left out. Every wrong value is named in one
    :class:`~bayes_scaling.errors.InvalidRequest`.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> question("target", target=2.0, compute=[1e24]).answer(example_fit()).caveats
    []
    """

    name: ClassVar[str] = ""
    """The verb, such as ``stop-early``."""
    panel: ClassVar[str] = ""
    """Panel of ``--help``: Forecast, Budget, Training or Constants."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names a request may give."""
    example: ClassVar[str] = ""
    """What follows ``bayes-scaling`` in the example of ``--help``."""
    takes: ClassVar[tuple[Kind, ...]] = ("observation",)
    """What it can be asked of; nothing where it needs no posterior."""
    about_budgets: ClassVar[bool] = False
    """Whether it is about compute, so that how the table counts that is said with the answer."""
    guarded: ClassVar[bool] = True
    """Whether caveats of the fit refuse the answer unless overridden; otherwise they stand before it. Distance always refuses."""
    trade_off: ClassVar[bool] = True
    """Whether it trades size against data, so that runs on one line of N and D are a caveat."""
    unused: ClassVar[tuple[str, ...]] = ()
    """Fields of this class that the question has no use for."""
    writes: ClassVar[str] = ""
    """The table that ``--out`` writes."""
    fits: ClassVar[str] = ""
    """Shipped model that the command line fits first where it is given a table of runs instead of a fit."""

    group: dict[str, str] = Field(
        default_factory=dict, description="Group of the run; repeat for several columns.", json_schema_extra={"of": "LABEL"}
    )
    prob: float = Field(default=0.9, ge=0.001, le=0.999, description="Probability of the intervals.")
    seed: int = Field(default=0, ge=0, description="The same seed gives the same answer.")
    override: bool = Field(
        default=False,
        validation_alias=AliasChoices("override", "anyway"),
        description="Answer even where a caveat refuses an answer.",
    )
    furthest: float = Field(
        default=FURTHEST, gt=0, description="Largest distance outside the runs, in decades of N, D or C, at which to answer."
    )

    def __init__(self, **given: Any) -> None:
        try:
            one_or_more = {n: [v] if self._is_one_of_several(n, v) else v for n, v in given.items() if v is not None}
            document = json.dumps(one_or_more, default=_json)
            self.__pydantic_validator__.validate_json(document, self_instance=self)
        except ValidationError as error:
            raise _wrong(error.errors(), type(self)) from None

    @classmethod
    def _is_one_of_several(cls, name: str, value: Any) -> bool:
        """Whether a value is one number of a field that takes several: ``compute=1e23`` is ``compute=[1e23]``."""
        field = cls.model_fields.get(name)
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        return is_number and field is not None and get_origin(field.annotation) is tuple

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register a subclass that has a verb."""
        super().__pydantic_init_subclass__(**kwargs)
        if cls.__dict__.get("name"):
            LOADED[cls.name] = cls

    @classmethod
    def options(cls) -> list[str]:
        """Return the fields a request may set, those of its own first."""
        fields: dict[str, None] = {}
        for kind in cls.__mro__:
            inherited = {name for base in kind.__bases__ for name in getattr(base, "model_fields", ())}
            fields |= dict.fromkeys(name for name in getattr(kind, "model_fields", ()) if name not in inherited)
        return [name for name in fields if name not in cls.idle()]

    @classmethod
    def names(cls) -> dict[str, str]:
        """Return the names a field may be given by, each with the field: its own, its aliases, and that of its option.

        >>> QUESTIONS["target"].names()["loss"]
        'target'
        """
        names: dict[str, str] = {}
        for name in cls.options():
            about = cls.model_fields[name]
            option = str(extras(about).get("option", name)).lstrip("-").replace("-", "_")
            names |= dict.fromkeys((*getattr(about.validation_alias, "choices", ()), option), name)
        return names | {name: name for name in cls.options()}

    @classmethod
    def idle(cls) -> tuple[str, ...]:
        """Return the fields of every question that this one has no use for."""
        return (*cls.unused, *(() if cls.takes else ("override", "furthest")))

    def answer(self, posterior: Posterior | None = None) -> Answer:
        """Answer the question, asked of a fit, a view of one observation, or a mixture, with every caveat.

        Raises
        ------
        Refused
            If what is asked for, or the answer, lies too far from the runs, or a guarded question has other caveats, and the
            question does not override them.
        InvalidRequest
            If it cannot be asked of this posterior.
        """
        for name in self.idle():
            if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True):
                what = ", ".join(self.group) if name == "group" else name
                raise ConflictingOptions(f"{type(self).__name__} takes no {name}: leave {what} out.")
        asked, posterior = posterior, self._accepted(posterior)
        reasons, far = self._caveats(posterior), self._too_far(posterior)
        self._refuse(reasons, far)
        # Threads of the linear algebra would add up in another order: an answer would depend on how many there are. They would
        # wait for each other most of the time, too: the matrices are small.
        with caveats_from(NewGroupWarning) as new_groups, threadpool_limits(1, "blas"):
            result = self._result(posterior)
        if not far:
            far = self._answer_too_far(posterior, result)
            self._refuse(reasons, far)
        overridden = (*(reasons if self.guarded else ()), *far)
        if self.about_budgets and posterior is not None:
            result = replace(result, sentence="\n".join([result.sentence, *budget_notes(posterior)]))
        given = {name: getattr(self, name) for name in self.model_fields_set}
        # The rows of a table are too many to repeat.
        rows = {n for n, v in given.items() if isinstance(v, tuple) and any(isinstance(row, Mapping) for row in v[:1])}
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude=rows)
        about = {"question": type(self).__name__, **fields, "prob": self.prob}
        if asked is not None and posterior is not None:
            about |= {name: getattr(posterior, name) for name in ("loss_unit", "converged", "verdict")}
            about |= {"fit_digest": asked.digest, "model_digest": asked.model_digest}
            stated = [stated_distances(table) for table in result.tables.values()]
            about["extrapolation_distance"] = worst_distances([*distances(posterior, self._requests()), *stated])
        inadequate = [] if posterior is None or posterior.adequate else [posterior.adequacy]
        pinned = [] if posterior is None else [line for part in posterior.parts.values() for line in part.pinned]
        said = [*reasons, *far, *inadequate, *dict.fromkeys(pinned), *new_groups, *result.caveats]
        return replace(result, caveats=said, overridden=overridden, about={**about, **result.about})

    def document(self, answer: Answer) -> Any:
        """Return an answer as the command line prints it with ``--json``."""
        return answer.to_dict()

    def text(self, answer: Answer) -> str:
        """Return an answer as the command line prints it."""
        return str(answer)

    def file(self, answer: Answer) -> pd.DataFrame:
        """Return the table that ``--out`` writes."""
        return answer.tables[self.writes]

    def _accepted(self, posterior: Any) -> Any:
        """Return the posterior as this question takes it, or refuse it with what to ask instead."""
        if not self.takes:
            return posterior
        return accepted(posterior, self.takes, self.name or type(self).__name__)

    def _caveats(self, posterior: Posterior | None) -> list[str]:
        """Return the caveats of the fit."""
        return (
            []
            if posterior is None
            else caveats(posterior, trade_off=self.trade_off and (self.guarded or self.about_budgets))
        )

    def _too_far(self, posterior: Posterior | None) -> list[str]:
        """Return the caveats of what is asked for: runs and budgets that lie too far outside those of the fit."""
        return [] if posterior is None else too_far(posterior, self._requests(), self.furthest)

    def _answer_too_far(self, posterior: Posterior | None, answer: Answer) -> list[str]:
        """Return the caveats of an answer that comes to a compute, or states its extrapolation distances."""
        if posterior is None:
            return []
        stated = (stated_distances(table) for table in answer.tables.values())
        found = [caveat for distances in stated for caveat in beyond(distances, self.furthest)]
        compute: dict[str, Any] = {} if answer.compute is None else {"compute_flops": answer.compute}
        return list(dict.fromkeys([*found, *too_far(posterior, [compute], self.furthest, "The answer")]))

    def _refuse(self, reasons: list[str], far: list[str]) -> None:
        if far or self.guarded:
            refuse_unless(self.override, [*reasons, *far])

    def _requests(self) -> list[Mapping[str, Any]]:
        """Return what the question names of runs, by column: what its fields give of one run, and the rows of each table."""
        given = {name: value for name in type(self).model_fields if (value := getattr(self, name)) not in (None, (), {})}
        tables = [value for value in given.values() if isinstance(value, tuple) and isinstance(value[0], Mapping)]
        one = {column: value for value in given.values() if isinstance(value, Mapping) for column, value in value.items()}
        compute = self._compute()
        one |= given | ({} if compute is None else {"compute_flops": compute})
        return [one, *(pd.DataFrame(list(rows)).to_dict("series") for rows in tables)]

    def _compute(self) -> Any:
        """Return the budgets the question is about, where it gives them."""
        return getattr(self, "compute", None) or None

    def _result(self, posterior: Any) -> Answer:
        """Return the answer without caveats, asked of a posterior that the question takes."""
        raise NotImplementedError


class OfSystem(Question):
    """A question about the laws of a system, asked of the whole fit; caveats stand before the answer."""

    takes = ("fit",)
    guarded = False
    unused = ("group", "seed")


class OfRun(Question):
    """A question about one run, by its inputs."""

    params: float | None = Field(default=None, description="Parameters N of the run.")
    tokens: float | None = Field(default=None, description="Tokens D of the run.")
    compute_flops: float | None = Field(
        default=None,
        validation_alias=AliasChoices("compute_flops", "compute"),
        description="Compute C of the run, FLOP.",
        json_schema_extra={"option": "--compute"},
    )
    inputs: dict[str, float] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("inputs", "input"),
        description="Any other input of the law, by column name.",
        json_schema_extra={"option": "--input", "of": "NUMBER"},
    )

    @property
    def given(self) -> dict[str, float]:
        """The inputs of the run, as far as they are given."""
        given = {column: value for column in RESOURCES if (value := getattr(self, column)) is not None}
        if twice := set(given) & set(self.inputs):
            raise ConflictingOptions(f"{', '.join(sorted(twice))} was given twice: once is enough.")
        return given | self.inputs


class OfText(Question):
    """A question about training on a supply of text."""

    distinct_tokens: float | None = Field(
        default=None, ge=1, description="Distinct tokens available; repeated tokens are worth less. Unlimited by default."
    )
    repeats_worth: float = Field(
        default=15.39, gt=0, description="Repetitions after which one more is worth a third of a fresh token (R*_D)."
    )

    @property
    def given(self) -> Text:
        """The text, the group and the seed, as every function about a budget takes them."""
        supply = None if self.distinct_tokens is None else Supply(self.distinct_tokens, self.repeats_worth)
        return {"supply": supply, "group": self.group, "seed": self.seed}

    def _too_far(self, posterior: Posterior | None) -> list[str]:
        """Return the caveats of what is asked for, and that of a supply of text far below that of any run; more is no caveat."""
        far = super()._too_far(posterior)
        if posterior is None or self.distinct_tokens is None:
            return far
        for each in distances(posterior, [{"tokens": self.distinct_tokens}]):
            below = {column: np.minimum(value, 0.0) for column, value in each.items()}
            far += beyond(below, self.furthest, "The supply of text")
        return list(dict.fromkeys(far))


class Questions(Mapping[str, type[Question]]):
    """Every question by its verb, an alias, or its class's name; its module is imported when it is asked for."""

    def __getitem__(self, name: str) -> type[Question]:
        entry = find(name)
        if entry is None:
            raise KeyError(name)
        return entry.load()

    def __iter__(self) -> Iterator[str]:
        return iter(entries())

    def __len__(self) -> int:
        return len(entries())


QUESTIONS: Final = Questions()
"""Every question by the name a request gives."""


def question(name: str, **given: Any) -> Question:
    """Build a question from a request.

    Parameters
    ----------
    name : str
        One of :data:`QUESTIONS`: the verb, an alias or the class.
    **given
        Its fields, by their own names or by those of their options on the command line; None counts as left out.

    Returns
    -------
    Question
        The document, to be asked of posteriors by its ``answer``.

    Raises
    ------
    InvalidRequest
        If there is no such question, or a value is wrong: every one of them, in one sentence each.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> print(question("target", loss=2.0, compute=[1e24]).answer(example_fit()))
    1e24 FLOP, beyond the runs by 1.92 decades in C, reach 2 nats/token with a probability of 0.97.
    """
    if name not in QUESTIONS:
        raise UnknownChoice(f"There is no question {name!r}; {choose(name, QUESTIONS)}.")
    return QUESTIONS[name](**by_field(given, QUESTIONS[name].names()))


def by_field(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return what is given by the fields' own names, None left out; what no field is called keeps its name.

    >>> by_field({"loss": 2.0, "compute": None}, QUESTIONS["target"].names())
    {'target': 2.0}
    """
    fields: dict[str, Any] = {}
    for called, value in given.items():
        name = names.get(called, called)
        if value is not None and fields.setdefault(name, value) is not value:
            raise InvalidRequest(f"The {name} is given under two names: give it once.")
    return fields


def extras(about: FieldInfo) -> dict[str, Any]:
    """Return what a field states beside its description: the name of its option, whether it may be a file."""
    return dict(about.json_schema_extra) if isinstance(about.json_schema_extra, Mapping) else {}


def ask(posterior: Posterior | None, name: str, **given: Any) -> Answer:
    """Ask a posterior a question.

    Parameters
    ----------
    posterior : Fit, view of one observation, or Mixture
        What it is asked of.
    name, **given
        As for :func:`question`.

    Returns
    -------
    Answer
        The answer.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> ask(example_fit(), "target", target=2.0, compute=[1e22, 1e24]).tables["chances"]["chance"].round(2).tolist()
    [0.0, 0.97]
    """
    return question(name, **given).answer(posterior)


def plain(value: Any) -> Any:
    """Return a value as JSON can have it: Python's numbers, lists, and None for what is not finite.

    >>> plain({"a": np.float64(1.0), "b": (float("inf"), pd.NA)})
    {'a': 1.0, 'b': [None, None]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray | xr.DataArray | pd.Series):
        return plain(np.asarray(value).tolist())
    value = value.item() if isinstance(value, np.generic) else value
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, with its index where that has a name.

    >>> records(pd.DataFrame({"chance": [0.5]}, index=pd.Index(["a"], name="run")))
    [{'run': 'a', 'chance': 0.5}]
    """
    rows = table.reset_index() if table.index.name else table
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def with_interval(name: str, ends: Iterable[Any]) -> dict[str, Any]:
    """Return the columns of a quantity and its interval: ``name``, ``name_lower`` and ``name_upper``."""
    return dict(zip((name, f"{name}_lower", f"{name}_upper"), ends, strict=True))


def _json(value: Any) -> Any:
    """Return what JSON can hold of what Python gives: numbers of numpy, arrays, tables, priors."""
    if isinstance(value, Prior):
        return value.model_dump()
    if isinstance(value, pd.DataFrame):
        return [{n: None if v is None or v != v else v for n, v in row.items()} for row in records(value)]
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _wrong(entries: Iterable[Any], kind: type[Question]) -> InvalidFields:
    """Return what is wrong, as pydantic lists it; a field that the question has not is not among its fields."""
    entries = list(entries)
    names = (str(entry["loc"][0]) for entry in entries if entry["loc"])
    return InvalidFields(
        " ".join(_sentence(entry, kind) for entry in entries),
        rules=tuple(_sentence(entry, kind, echo=False) for entry in entries),
        fields=tuple(dict.fromkeys(name for name in names if name in kind.model_fields)),
    )


def _place(parts: tuple[str | int, ...]) -> str:
    """Return where a value stands, numbers and rows counted from one.

    >>> _place(("target",)), _place(("compute", 0)), _place(("candidates", 0, "cost"))
    ('target', 'compute, number 1,', 'cost of candidates, row 1,')
    """
    match parts:
        case (str(name), int(number)):
            return f"{name}, number {number + 1},"
        case (str(name), int(row), *inside):
            return f"{'.'.join(map(str, inside))} of {name}, row {row + 1},"
        case _:
            return ".".join(map(str, parts))


def _ends_of_a_probability(kind: type[Question], place: str) -> tuple[float, float] | None:
    """Return between what a field lies that is neither impossible nor sure; nothing of another field."""
    metadata = kind.model_fields[place].metadata if place in kind.model_fields else ()
    bound = {name: getattr(each, name) for each in metadata for name in ("gt", "ge", "lt", "le") if hasattr(each, name)}
    low, high = bound.get("gt", bound.get("ge")), bound.get("lt", bound.get("le"))
    if low is None or high is None or not 0 <= low < high <= 1 or bound.get("ge") == 0 or bound.get("le") == 1:
        return None
    return low, high


def _sentence(wrong: Any, kind: type[Question], *, echo: bool = True) -> str:
    """Return one wrong value as a sentence, with or without the value."""
    place, given = _place(wrong["loc"]), wrong["input"]
    if wrong["type"] == "extra_forbidden":
        return f"{kind.__name__} takes no {repr(place) if echo else 'other field'}; {choose(place if echo else '', kind.options())}."
    if wrong["type"] == "missing":
        return f"{kind.__name__} needs {place}."
    if wrong["type"] == "value_error":
        return str(wrong["ctx"]["error"])
    should = wrong["msg"].replace("Input should", "it should")
    if ends := _ends_of_a_probability(kind, place):
        should = f"it has to lie between {ends[0]:g} and {ends[1]:g}, say 0.9"
    elif wrong["type"] == "greater_than" and wrong["ctx"]["gt"] == 0:
        should = "it should be greater than 0, a positive number"
    return f"The {place} is {f'{given!r}' if echo else 'wrong'}: {should}."
