"""What is asked: strict JSON and query parameters become the fields of a question, or a sentence that says what is wrong.

A sentence says which field and what would be right, and repeats nothing of the request.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from bayes_scaling.errors import InvalidFields, InvalidRequest
from bayes_scaling.model.priors import DISTRIBUTIONS
from bayes_scaling.questions.base import Question, by_field, extras

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from bayes_scaling.service.settings import Settings

_NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE: Final = re.compile(r"-?\d+")
_ENTRY: Final = re.compile(r"(?P<field>[^\[\]]+)\[(?P<key>[^\[\]]+)\]")
OVERRIDE: Final = ("override", "anyway")
"""Names under which a request overrides the caveats that refuse an answer."""
OBSERVATION: Final = "observation"
"""Name under which a request says which observation of a fit of several is asked."""
_SHORT: Final = 3
"""Characters up to which a word of the request may stand in a sentence about it."""


@dataclass(frozen=True)
class Asked:
    """A request that was read: the question, whether it overrides what refuses an answer, and the observation it is about."""

    question: Question
    overrides: bool = False
    observation: str | None = None

    @property
    def content(self) -> str:
        """The request in one form: two that have the same answer are equal."""
        question = self.question
        stated = [
            type(question).name,
            question.model_dump(mode="json", exclude_defaults=True),
            self.overrides,
            self.observation,
        ]
        return json.dumps(stated, sort_keys=True)


class Malformed(InvalidRequest):
    """A request is no JSON object as the service takes it."""


def read_body(content: bytes, settings: Settings) -> dict[str, Any]:
    """Return the object of a body: UTF-8 JSON with finite numbers, no name twice, within the limits of depth and length.

    >>> from pathlib import Path
    >>> from bayes_scaling.service.settings import Settings
    >>> read_body(b'{"compute": 1e14}', Settings(Path()))
    {'compute': 100000000000000.0}
    >>> read_body(b'{"compute": 1e999}', Settings(Path()))
    Traceback (most recent call last):
    bayes_scaling.service.requests.Malformed: The body has a number that is not finite.
    """
    try:
        found = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_not_finite,
            parse_float=_finite,
            parse_int=_whole,
        )
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("The body is not JSON: give an object, in UTF-8.") from None
    if not isinstance(found, dict):
        raise Malformed("The body is JSON, but not an object: give the fields of the question by name.")
    _check(found, settings, settings.depth)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed("The body has a name twice in one object.")
    return found


def _not_finite(_text: str) -> float:
    raise Malformed("The body has NaN or Infinity: numbers have to be finite.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("The body has a number that is not finite.")
    return number


def _whole(text: str) -> int | float:
    """Return a whole number; one that no float could be is refused."""
    return int(text) if len(text) < 20 else _finite(text)


def _check(value: Any, settings: Settings, depth: int) -> None:
    """Refuse what is nested too deep, too long, or no text that can be printed."""
    if isinstance(value, str):
        check_text(value, settings)
    elif isinstance(value, list | dict):
        if not depth:
            raise Malformed(f"The body is nested more than {settings.depth} levels deep.")
        if len(value) > settings.items:
            raise Malformed(f"An array or object of the body has more than {settings.items} entries.")
        if isinstance(value, dict):
            for name in value:
                check_text(name, settings)
        for entry in value.values() if isinstance(value, dict) else value:
            _check(entry, settings, depth - 1)


def check_text(text: str, settings: Settings) -> None:
    """Refuse text that is too long, or has control characters or half a character in it."""
    if len(text) > settings.text:
        raise Malformed(f"A text of the request has more than {settings.text} characters.")
    if not text.isprintable():
        raise Malformed("A text of the request has characters in it that cannot be printed.")


def read_query(kind: type[Question], pairs: Iterable[tuple[str, str]], settings: Settings) -> dict[str, Any]:
    """Return the fields of query parameters: a list repeats its name, an object names its entries, as ``group[corpus]=C4``.

    >>> from pathlib import Path
    >>> from bayes_scaling.questions.base import QUESTIONS
    >>> from bayes_scaling.service.settings import Settings
    >>> read_query(QUESTIONS["target"], [("loss", "2.1"), ("compute", "1e22"), ("compute", "1e23")], Settings(Path()))
    {'loss': 2.1, 'compute': [1e+22, 1e+23]}
    """
    found: dict[str, Any] = {}
    fields = accepted(kind)
    for name, text in pairs:
        for part in (name, text):
            check_text(part, settings)
        entry = _ENTRY.fullmatch(name)
        given, key = (entry["field"], entry["key"]) if entry else (name, None)
        if given not in fields:
            raise InvalidRequest(_no_such(kind))
        field = kind.model_fields.get(fields[given])
        of_values = bool if fields[given] == "override" else _kind(field)
        if (_shape(field) is dict) != (key is not None):
            form = f"{given}[NAME]=VALUE" if key is None else f"{given}=VALUE"
            raise InvalidRequest(f"The {given} is {'' if key is None else 'not '}an object: write it as {form}.")
        if field is not None and not is_flat(field):
            raise InvalidRequest(f"The {given} is a table: send it in the body of a POST.")
        if key is not None:
            if key in found.setdefault(given, {}):
                raise InvalidRequest(f"The {given} has an entry twice: give it once.")
            found[given][key] = _value(given, of_values, text)
        elif _shape(field) is tuple:
            found.setdefault(given, []).append(_value(given, of_values, text))
            if len(found[given]) > settings.items:
                raise Malformed(f"The {given} has more than {settings.items} entries.")
        elif given in found:
            raise InvalidRequest(f"The {given} is given twice: give it once.")
        else:
            found[given] = _value(given, of_values, text)
    return found


def _value(name: str, kind: Any, text: str) -> Any:
    """Return the value of a parameter as its field takes it."""
    if kind is str:
        return text
    if kind is bool:
        if text in ("true", "false"):
            return text == "true"
        raise InvalidRequest(f"The {name} has to be true or false.")
    pattern = _WHOLE if kind is int else _NUMBER
    if pattern.fullmatch(text) is None or not math.isfinite(float(text)):
        raise InvalidRequest(
            f"The {name} has to be a {'whole ' if kind is int else ''}number, finite and in decimal digits."
        )
    return int(text) if kind is int else float(text)


def accepted(kind: type[Question]) -> dict[str, str]:
    """Return the names a request may give, each with its field.

    >>> from bayes_scaling.questions.base import QUESTIONS
    >>> accepted(QUESTIONS["target"])["loss"], accepted(QUESTIONS["target"])["anyway"]
    ('target', 'override')
    """
    return further(kind) | kind.names()


def further(kind: type[Question]) -> dict[str, str]:
    """Return the names beyond the fields of a question: of what its posterior is, and whether that may be used."""
    names = dict.fromkeys(OVERRIDE, "override") if kind.takes else {}
    return names | ({OBSERVATION: OBSERVATION} if "observation" in kind.takes else {})


def question_of(kind: type[Question], given: Mapping[str, Any]) -> Asked:
    """Return the question of the fields of a request.

    Raises
    ------
    InvalidRequest
        If a field is unknown or wrong.
    """
    names = accepted(kind)
    if not set(given) <= set(names):
        raise InvalidRequest(_no_such(kind))
    fields = by_field(given, names)
    for name, value in fields.items():
        suffix = _file(kind, name)
        if suffix and str(value).endswith(suffix):
            raise InvalidRequest(f"The {name} is a file: over HTTP it has to be one of the built-in names.")
    if any(name not in DISTRIBUTIONS for name in _distributions(list(fields.values()))):
        raise InvalidRequest(f"Over HTTP a distribution is one of {', '.join(DISTRIBUTIONS)}.")
    beyond = {name: fields[name] for name in further(kind).values() if name in fields}
    for name, value in beyond.items():
        if not isinstance(value, bool if name == "override" else str):
            raise InvalidRequest(f"The {name} has to be {'true or false' if name == 'override' else 'a name'}.")
        if name not in kind.options():
            del fields[name]
    try:
        return Asked(kind(**fields), beyond.get("override", False), beyond.get(OBSERVATION))
    except InvalidFields as error:
        raise InvalidFields(without(" ".join(error.rules), given, kind), fields=error.fields) from None


def _distributions(value: Any) -> Iterable[Any]:
    """Yield the names of distributions in a value: those that are not drawn from by numpy would import all of PyMC."""
    if isinstance(value, dict):
        if "dist" in value:
            yield value["dist"] if isinstance(value["dist"], str) else ""
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _distributions(entry)


def _no_such(kind: type[Question]) -> str:
    return f"{kind.__name__} does not take every field that is given. Valid: {', '.join(kind.options())}."


def _file(kind: type[Question], name: str) -> str:
    """Return the suffix by which a field's value is taken for a file; nothing where none is."""
    return str(extras(kind.model_fields[name]).get("file", "")) if name in kind.model_fields else ""


def without(sentence: str, given: Any, kind: type[Question]) -> str:
    """Return a sentence without the words of a request, but for the names of fields.

    >>> from bayes_scaling.questions.base import QUESTIONS
    >>> without("There is no device 'zx81'; valid: h100.", {"device": "zx81"}, QUESTIONS["cost"])
    'There is no device (as given); valid: h100.'
    """
    known = {*accepted(kind), kind.name, kind.__name__}
    for word in sorted(set(_words(given)) - known, key=len, reverse=True):
        if len(word) > _SHORT:
            sentence = sentence.replace(repr(word), "(as given)")
            sentence = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "(as given)", sentence)
    return sentence


def _words(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield str(name)
            yield from _words(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _words(entry)


def _shape(field: FieldInfo | None) -> Any:
    """Return what a field holds: a tuple, a dict, or one value."""
    origin = None if field is None else get_origin(field.annotation)
    return origin if origin in (tuple, dict) else None


def _kind(field: FieldInfo | None) -> Any:
    """Return of what kind the values of a field are: bool, int, float or str."""
    if field is None:
        return str
    annotation: Any = field.annotation
    if _shape(field) is not None:
        annotation = get_args(annotation)[1 if _shape(field) is dict else 0]
    kinds = [part for part in (get_args(annotation) or (annotation,)) if isinstance(part, type) and part is not NoneType]
    return kinds[0] if kinds else str


def is_flat(field: FieldInfo) -> bool:
    """Whether a field can be a query parameter: no rows of a table."""
    return _shape(field) is not tuple or get_origin(get_args(field.annotation)[0]) is not dict


def asks_flat(kind: type[Question]) -> bool:
    """Whether a question can be asked by query parameters: every field that it needs is flat."""
    return all(is_flat(field) for field in kind.model_fields.values() if field.is_required())


def example_of(kind: type[Question]) -> dict[str, Any]:
    """Return the fields of the example of a question's help, as far as they are no files.

    >>> from bayes_scaling.questions.base import QUESTIONS
    >>> example_of(QUESTIONS["predict"])
    {'params': 70000000000.0, 'tokens': 1400000000000.0, 'prob': 0.9}
    """
    words, fields, found = shlex.split(kind.example)[1:], accepted(kind), {}
    positional = [name for name in kind.options() if kind.model_fields[name].is_required()]
    rest: list[str] = []
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            rest.append(word)
            continue
        name = word.lstrip("-").replace("-", "_")
        field = kind.model_fields.get(fields.get(name, ""))
        if field is None or not is_flat(field):
            words = words[1:] if words and not words[0].startswith("--") else words
        elif _kind(field) is bool:
            found[fields[name]] = True
        elif _shape(field) is dict:
            key, _, text = words.pop(0).partition("=")
            found.setdefault(fields[name], {})[key] = _value(name, _kind(field), text)
        elif _shape(field) is tuple:
            found.setdefault(fields[name], []).append(_value(name, _kind(field), words.pop(0)))
        else:
            found[fields[name]] = _value(name, _kind(field), words.pop(0))
    texts = [name for name in positional if name not in found and _kind(kind.model_fields[name]) is str]
    return dict(zip(texts, rest[1 if kind.takes else 0 :], strict=False)) | found
