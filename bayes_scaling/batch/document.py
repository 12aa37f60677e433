"""The document of a batch: tables, models, settings and questions, strict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from bayes_scaling.errors import InvalidRequest, InvalidSpecification, first_fault
from bayes_scaling.files import read_toml
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.model.effects import one_or_many
from bayes_scaling.model.registry import Strict, sentence
from bayes_scaling.questions.base import Question, question


class Tables(Strict):
    """Where tables are, and how to read them.

    Parameters
    ----------
    path : str
        A file, a folder of files, a pattern such as ``"runs/*.csv"``, or the name of a data set. Relative to the document's folder.
    name : str
        Name of the one table; by default that of its file.
    columns : dict of str to str
        Canonical name to the name in the table.
    where : str
        Condition on the rows.
    loss_unit : str
        Unit of the loss, over the card's.
    card : str
        Path of the card.
    facts : dict
        Columns that the table lacks: one value for all rows.
    split_by : tuple of str
        Columns of the table: each combination of their labels is a table of its own.
    fewest_rows : int
        Parts with fewer rows are left out.
    source : str
        Where the tables come from, such as a paper: tables of one source have more in common when a batch is pooled. By
        default each table is a source of its own.
    """

    path: str
    name: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    where: str = ""
    loss_unit: str = ""
    card: str = ""
    facts: dict[str, str | float] = Field(default_factory=dict)
    split_by: tuple[str, ...] = ()
    fewest_rows: int = Field(default=1, ge=1)
    source: str = ""

    _split_by = field_validator("split_by", mode="before")(one_or_many)

    @model_validator(mode="before")
    @classmethod
    def _placed(cls, given: Any) -> Any:
        """Take a text alone as the path."""
        return {"path": given} if isinstance(given, str) else given


class Fitted(Strict):
    """A model to fit to every table, and how it differs from its document.

    Parameters
    ----------
    model : str
        Name of a shipped model, or the path of a document, relative to that of the batch.
    name : str
        Name in the results; by default that of the model.
    by : tuple of str
        Columns of groups that the parameters vary by, as for :meth:`~bayes_scaling.Model.by`.
    shared_exponents, discrepancy, robust : bool
        As for :func:`~bayes_scaling.fit`.
    pin : dict
        Parameters known from elsewhere, as for :func:`~bayes_scaling.fit`.
    """

    model: str
    name: str = ""
    by: tuple[str, ...] = ()
    shared_exponents: bool = False
    discrepancy: bool = True
    robust: bool = True
    pin: dict[str, float | str | tuple[float, float]] = Field(default_factory=dict)

    _by = field_validator("by", mode="before")(one_or_many)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Take a name alone as the model of that name."""
        return {"model": given} if isinstance(given, str) else given

    @property
    def options(self) -> dict[str, Any]:
        """What :func:`~bayes_scaling.fit` takes of it, without what is so by default."""
        return self.model_dump(exclude={"model", "name"}, exclude_defaults=True)


class Sampling(Strict):
    """How to sample every fit: as for :func:`~bayes_scaling.fit`.

    Parameters
    ----------
    seed, draws, tune, chains, target_accept, sampler, anyway
        As there.
    """

    seed: int = 0
    draws: int | None = None
    tune: int = 1000
    chains: int = 4
    target_accept: float = 0.98
    sampler: str = "auto"
    anyway: bool = False

    @model_validator(mode="after")
    def _has_a_meaning(self) -> Self:
        Settings(**self.model_dump(exclude={"anyway"}))
        return self


class Jobs(Strict):
    """A batch: every model is fitted to every table, and every question asked of every fit.

    Parameters
    ----------
    tables : tuple of Tables
        What to fit to: paths, or tables with further keys.
    models : tuple of Fitted
        What to fit: names, or tables with further keys.
    sampling : Sampling
        How to sample.
    questions : tuple of dict
        Questions to ask of each fit: ``question`` names it, the other keys are its fields.
    prob : float
        Probability of the intervals of the results.
    reports : bool
        Whether to write a report of each fit.
    pooled : tuple of str
        Models over whose fits a hierarchical model is fitted: how their parameters vary from table to table.

    Examples
    --------
    >>> jobs = jobs_from({"tables": ["ladder"], "models": ["kappa", {"model": "kappa", "name": "law", "discrepancy": False}]})
    >>> [each.name or each.model for each in jobs.models]
    ['kappa', 'law']
    """

    tables: tuple[Tables, ...] = Field(min_length=1)
    models: tuple[Fitted, ...] = Field(min_length=1)
    sampling: Sampling = Field(default_factory=Sampling)
    questions: tuple[dict[str, Any], ...] = ()
    prob: float = Field(default=0.9, gt=0, lt=1)
    reports: bool = False
    pooled: tuple[str, ...] = ()

    _pooled = field_validator("pooled", mode="before")(one_or_many)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [each.name or Path(each.model).stem for each in self.models]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidSpecification(f"two models are called {twice[0]}: give one of them another name")
        if unknown := sorted(set(self.pooled) - set(names)):
            raise InvalidSpecification(f"pooled names {unknown[0]}, which is not one of the models {', '.join(names)}")
        for given in self.questions:
            asked(given)
        return self

    def read_models(self, folder: Path) -> dict[str, tuple[Model, dict[str, Any]]]:
        """Return every model by its name in the results, with its options of a fit; paths are relative to a folder."""
        found: dict[str, tuple[Model, dict[str, Any]]] = {}
        for each in self.models:
            path = folder / each.model
            model = read_model(path if Path(each.model).suffix == ".toml" else each.model)
            found[each.name or Path(each.model).stem] = model, each.options
        return found


def asked(given: Mapping[str, Any]) -> Question:
    """Return the question that a table of the document asks, or refuse it."""
    if "question" not in given:
        raise InvalidSpecification(
            f"a question of the batch needs its name, such as question = 'allocate'; found {dict(given)}"
        )
    name, fields = str(given["question"]), {key: value for key, value in given.items() if key != "question"}
    try:
        return question(name, **fields)
    except InvalidRequest as error:
        raise InvalidSpecification(str(error)) from None


def jobs_from(document: Mapping[str, Any], place: str = "The batch") -> Jobs:
    """Return the batch that a document describes.

    Raises
    ------
    InvalidSpecification
        If the document is wrong: every place, what was found, and what would be right.
    """
    try:
        return Jobs.model_validate_json(json.dumps(dict(document)))
    except ValidationError as error:
        lines = [sentence(dict(entry), Jobs) for entry in error.errors()]
        raise InvalidSpecification(
            "\n".join([f"{place} is no batch:", *(f"  {line.rstrip('.')}." for line in lines)])
        ) from None
    except (TypeError, ValueError) as error:
        raise InvalidSpecification(f"{place} is no batch: {error}.") from None


def read_jobs(path: str | Path) -> Jobs:
    """Read the document of a batch, TOML.

    Raises
    ------
    InvalidSpecification
        If it cannot be read, or is wrong.
    """
    try:
        document = read_toml(path)
    except OSError as error:
        raise InvalidSpecification(f"The document {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InvalidSpecification(f"The document {path} is not TOML: {first_fault(error)}.") from None
    return jobs_from(document, str(path))
