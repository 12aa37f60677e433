"""Model documents, read: TOML from a file or by name, every key of it checked, every mistake a sentence."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Container
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bayes_scaling.errors import InvalidModel, InvalidSpecification, UnknownName, choose
from bayes_scaling.files import MODELS
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.specification import Correlation, Likelihood, ModelSpec, Parameter, Shared, Walk
from bayes_scaling.model.systems import Observation, SystemSpec


def model_from_json(text: str) -> ModelSpec | SystemSpec:
    """Return the model that :meth:`ModelSpec.to_json` wrote.

    Examples
    --------
    >>> spec = read_model("kappa")
    >>> model_from_json(spec.to_json()).digest == spec.digest
    True
    """
    return _validated(json.loads(text), "The model in the fit")


def shipped_models() -> list[str]:
    """Return the names of the shipped models of one law.

    Examples
    --------
    >>> "chinchilla" in shipped_models()
    True
    """
    return [name for name in _shipped() if not _has_observations(name)]


def shipped_systems() -> list[str]:
    """Return the names of the shipped systems of laws.

    Examples
    --------
    >>> "critical_batch" in shipped_systems()
    True
    """
    return [name for name in _shipped() if _has_observations(name)]


def default_model(columns: Container[str]) -> str:
    """Return the shipped model that forecasts from the columns a table has.

    Parameters
    ----------
    columns : container of str
        Columns of the runs, or the table itself.

    Raises
    ------
    InvalidModel
        If there is none to forecast from.

    Examples
    --------
    >>> default_model(["params", "tokens", "compute_flops", "loss"]), default_model(["compute_flops", "loss"])
    ('kappa', 'offset_c')
    """
    for name, needed in _BY_DEFAULT.items():
        if all(column in columns for column in needed):
            return name
    wanted = "; ".join(f"{' and '.join(needed)} ({name})" for name, needed in _BY_DEFAULT.items())
    raise InvalidModel(f"The runs have no resource to forecast from: give them one of {wanted}, or name a model.")


_BY_DEFAULT = {
    "kappa": ("params", "tokens"),
    "offset_c": ("compute_flops",),
    "offset_d": ("tokens",),
    "offset_n": ("params",),
}


def _shipped() -> list[str]:
    return sorted(path.stem for path in MODELS.glob("*.toml"))


def _has_observations(name: str) -> bool:
    return "observations" in tomllib.loads((MODELS / f"{name}.toml").read_text(encoding="utf-8"))


def read_model(source: str | Path | ModelSpec | SystemSpec) -> Any:
    """Read a model document.

    Parameters
    ----------
    source : str, path, ModelSpec or SystemSpec
        The name of a shipped model, or the path of a TOML document.

    Returns
    -------
    ModelSpec or SystemSpec
        The model, every name in it checked: a system of laws where the document has observations.

    Raises
    ------
    InvalidSpecification
        If the document is wrong; the error names the place, the value and the valid choices.
    UnknownName
        If there is no such shipped model and no such file.

    Examples
    --------
    >>> read_model("chinchila")
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.UnknownName: There is no model 'chinchila': did you mean 'chinchilla'? ...
    """
    if isinstance(source, ModelSpec | SystemSpec):
        return source
    path = Path(source)
    if path.suffix != ".toml" and str(source) == path.name:
        if str(source) not in _shipped():
            raise UnknownName(f"There is no model {str(source)!r}: {choose(str(source), _shipped())}; or give a .toml file.")
        path = MODELS / f"{source}.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSpecification(f"The model document {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSpecification(f"The model document {path} is not TOML: {error}.") from None
    return _validated(document, str(path))


def _validated(document: dict[str, Any], place: str) -> ModelSpec | SystemSpec:
    kind = SystemSpec if "observations" in document else ModelSpec
    try:
        return kind.model_validate_json(json.dumps(document))
    except ValidationError as error:
        lines = [_sentence(dict(entry), kind) for entry in error.errors()]
        raise InvalidSpecification("\n".join([f"{place} is not a model:", *(f"  {line}" for line in lines)])) from None
    except (TypeError, ValueError) as error:
        raise InvalidSpecification(f"{place} is not a model: {error}.") from None


def _sentence(entry: dict[str, Any], kind: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in entry["loc"] if part not in ("Prior", "float"))
    problem, found = entry["type"], entry["input"]
    if problem == "extra_forbidden":
        return f"{place}: unknown key; {choose(str(entry['loc'][-1]), _keys_at(entry['loc'], kind))}."
    if problem == "missing":
        return f"{place}: is missing."
    if problem == "value_error":
        return f"{place}: {entry['ctx']['error']}.".removeprefix(": ")
    return f"{place}: {entry['msg'][0].lower()}{entry['msg'][1:]}, found {found!r}."


_TABLES: dict[str, type[BaseModel]] = {
    "parameters": Parameter,
    "likelihood": Likelihood,
    "correlation": Correlation,
    "observations": Observation,
    "prior": Prior,
    "discrepancy": Walk,
    "noise": Shared,
}


def _keys_at(location: tuple[str | int, ...], kind: type[BaseModel]) -> list[str]:
    """Return the keys of the innermost table that a place lies in."""
    for part in reversed(location[:-1]):
        if part in _TABLES:
            return list(_TABLES[str(part)].model_fields)
    return list(kind.model_fields)
