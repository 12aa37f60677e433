"""Parts of a document that come in kinds: a key of the table names the kind, and a class in one file is the kind."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bayes_scaling.errors import InvalidSpecification, choose
from bayes_scaling.plugins import Registry


class Strict(BaseModel):
    """A table of a document: no unknown key, no value of another type, nothing that changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class InvalidPart(InvalidSpecification):
    """A part of a document is wrong; the message begins with the place within the part."""


class Registered(Strict):
    """A part of a document whose kind is named by one of its keys.

    A subclass with ``NAME`` adds a kind; ``REGISTRY`` and ``KEY`` are those of the class whose kinds these are.
    """

    REGISTRY: ClassVar[Registry[Any]]
    KEY: ClassVar[str]
    NAME: ClassVar[str] = ""

    def __init_subclass__(cls, **settings: Any) -> None:
        """Add the kind; a name of another module's is refused by a TypeError."""
        super().__init_subclass__(**settings)
        if cls.__dict__.get("NAME"):
            cls.REGISTRY.refuse_taken(cls.NAME, cls.__module__)
            cls.REGISTRY[cls.NAME] = cls

    @classmethod
    def of(cls, given: Any) -> Self:
        """Return the part that a table of a document describes, of the kind it names, or refuse the table."""
        if isinstance(given, cls):
            return given
        if not isinstance(given, dict):
            raise InvalidSpecification(f"has to be a table, found {given!r}")
        kind = given.get(cls.KEY, cls.model_fields[cls.KEY].default)
        if not isinstance(kind, str):
            raise InvalidPart(f"{cls.KEY}: is missing; {choose('', cls.REGISTRY)}")
        if kind not in cls.REGISTRY:
            raise InvalidPart(f"{cls.KEY}: there is no {kind!r}; {choose(kind, cls.REGISTRY)}")
        named = cls.REGISTRY[kind]
        try:
            return named.model_validate({**given, cls.KEY: kind})
        except ValidationError as error:
            raise InvalidPart("; ".join(sentence(dict(entry), named) for entry in error.errors())) from None


def sentence(entry: dict[str, Any], table: type[BaseModel]) -> str:
    """Say in words what pydantic found wrong with a document."""
    place = ".".join(str(part) for part in entry["loc"] if part not in ("Prior", "float"))
    problem, found = entry["type"], entry["input"]
    if problem == "extra_forbidden":
        return f"{place}: unknown key; {choose(str(entry['loc'][-1]), keys_at(entry['loc'], table))}"
    if problem == "missing":
        return f"{place}: is missing"
    if problem == "value_error":
        error = entry["ctx"]["error"]
        joint = "." if isinstance(error, InvalidPart) and place else ": "
        return f"{place}{joint}{error}".removeprefix(": ")
    return f"{place}: {entry['msg'][0].lower()}{entry['msg'][1:]}, found {found!r}"


def keys_at(location: tuple[str | int, ...], table: type[BaseModel]) -> list[str]:
    """Return the keys of the table that a place in a document lies in."""
    for part in location[:-1]:
        field = table.model_fields.get(str(part))
        inner = [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        tables = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if tables:
            table = tables[0]
    return list(table.model_fields)
