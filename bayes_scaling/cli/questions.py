"""Every question as a verb: its options, its help and its output follow from its class.

A question's module is imported when it is asked, so that --help is instant.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

from bayes_scaling.cli.extras import EXTRAS, Extra
from bayes_scaling.cli.options import (
    AsJson,
    Columns,
    LossUnit,
    OfOne,
    columns_of,
    numbers,
    pairs,
    stored_fit,
    written_number,
)
from bayes_scaling.cli.printing import print_json, say
from bayes_scaling.errors import InvalidRequest, choose
from bayes_scaling.questions.registry import entries, find

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from bayes_scaling.posterior.fit import Fit
    from bayes_scaling.posterior.mixture import Mixture
    from bayes_scaling.questions.base import Answer, Question

PANELS = ("Runs", "Fit", "Trust", "Ask: forecast", "Ask: budget", "Ask: training", "Ask: constants", "Share")
"""Groups of verbs, in the order of --help; verbs written by hand are of the second where they do not say another."""


_NO_CSV = (".xlsx", ".xls", ".ods", ".parquet", ".json", ".jsonl", ".html", ".pdf", ".nc")
"""Suffixes of files that a table in CSV is none of."""


class Verbs(TyperGroup):
    """The verbs written by hand, and one for each question."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb, made of its question when it is called."""
        written = super().get_command(ctx, cmd_name)
        if written is not None:
            return written
        entry = find(cmd_name)
        return None if entry is None else _command(entry.load())

    def list_commands(self, ctx: Any) -> list[str]:
        """Return every verb."""
        return [*super().list_commands(ctx), *entries()]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the verb of a command line, or list the verbs in an error."""
        if args[0] not in self.commands and find(args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}; {choose(args[0], self.list_commands(ctx))}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write every verb with one line of help, group by group; no question is imported for it."""
        groups: dict[str, list[tuple[str, str]]] = {panel: [] for panel in PANELS}
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None)
            groups.setdefault(panel if isinstance(panel, str) else PANELS[1], []).append((name, _line(command.help)))
        for entry in entries().values():
            groups.setdefault(f"Ask: {entry.panel.lower()}", []).append((entry.name, entry.summary))
        for panel, lines in groups.items():
            if lines:
                with formatter.section(panel):
                    formatter.write_dl(lines)


def _line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _command(kind: type[Question]) -> Any:
    """Return the command of a question."""
    extras = EXTRAS.get(kind.name, ())

    def ask(**given: Any) -> None:
        _ask(kind, extras, given)

    parameters = _parameters(kind, extras)
    ask.__dict__["__signature__"] = inspect.Signature(parameters)
    ask.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    info = CommandInfo(
        name=kind.name, callback=ask, help=_line(kind.__doc__), epilog=f"Example: bayes-scaling {kind.example}"
    )
    return get_command_from_info(info, pretty_exceptions_short=True, rich_markup_mode=None)


def _ask(kind: type[Question], extras: tuple[Extra, ...], given: dict[str, Any]) -> None:
    """Build a question from the command line, answer it, write what is to be written, and print the answer."""
    from bayes_scaling.files import check_writable, refuse_overwriting, write_whole
    from bayes_scaling.runs.cells import csv_of

    out, as_json = given.pop("out", None), given.pop("as_json")
    stored = given.pop("stored", None)
    observation = given.pop("observation", None) if "observation" in kind.takes else None
    further = [(extra, given.pop(extra.name)) for extra in extras]
    columns = columns_of(given.pop("columns", None))
    loss_unit = given.pop("loss_unit", None)
    printed = str(out) == "-"
    if kind.writes and out is not None and out.suffix.lower() in _NO_CSV:
        raise InvalidRequest(f"{out} would hold a table in CSV, which {out.suffix} is not: end its name in .csv.")
    for path in (None if printed else out, *(value for _, value in further)):
        if isinstance(path, Path):
            check_writable(path)
            refuse_overwriting(path, stored, *given.values())
    question = kind(**{name: _read(kind, name, value, columns) for name, value in given.items()})
    if kind.fits and stored is not None and stored.suffix != ".nc" and not stored.is_dir():
        from bayes_scaling.inference.sample import fit
        from bayes_scaling.runs.table import read_runs

        posterior = fit(read_runs(stored, columns=columns, loss_unit=loss_unit), kind.fits)
    else:
        posterior = None if stored is None else _posterior(stored, observation)
    answer = question.answer(posterior)
    notes: dict[str, Any] = {}
    for extra, value in further:
        if value is not None or extra.always:
            answer, note = extra.apply(posterior, question, answer, value)
            notes |= note
    document = question.document(answer)
    if printed:
        table = question.file(answer)
        say(str(answer))
        print(csv_of(table), end="")
    elif out is not None:
        table = question.file(answer)
        write_whole(out, csv_of(table))
        notes |= {"out": str(out), "rows": len(table)}
        document = {n: v for n, v in document.items() if n != kind.writes} if isinstance(document, dict) else {}
    if not printed:
        _print(question, answer, document, notes, out, as_json=as_json)
    if answer.passed is False:
        raise typer.Exit(1)


def _print(
    question: Question, answer: Answer, document: Any, notes: dict[str, Any], out: Path | None, *, as_json: bool
) -> None:
    """Print an answer, and what was written beside it."""
    if as_json:
        print_json(document | notes if notes else document)
        return
    text = str(answer) if out is not None else question.text(answer)
    if text != str(answer):
        say(str(answer))
    print(text)
    for name, value in notes.items():
        if name != "rows":
            print(f"{'Table' if name == 'out' else name.capitalize()}: {value}")


def _posterior(stored: Path, observation: str | None) -> Fit | Mixture:
    """Return the stored fit, one observation of it, or the mixture of a folder."""
    if stored.is_dir():
        from bayes_scaling.posterior.mixture import load_mixture

        if observation is not None:
            raise InvalidRequest(f"{stored} is a mixture of fits of one law: leave --observation {observation} out.")
        return load_mixture(stored)
    return stored_fit(stored, observation)


def _parameters(kind: type[Question], extras: tuple[Extra, ...]) -> list[inspect.Parameter]:
    """Return the parameters of a verb: what is asked, the fields of the question, and how to answer."""
    required, optional = [], []
    if kind.takes:
        metavar, what = "FIT.nc", "Fit written by `bayes-scaling fit`."
        if kind.takes == ("mixture",):
            metavar, what = "MIXTURE", "Folder written by `bayes-scaling weigh`."
        elif kind.fits:
            metavar, what = "FIT.nc", f"Fit written by `bayes-scaling fit`, or a table of runs to fit {kind.fits} to first."
        elif "mixture" in kind.takes:
            what = "Fit written by `bayes-scaling fit`, or the folder of a mixture."
        required.append(_parameter("stored", Annotated[Path, typer.Argument(metavar=metavar, help=what)]))
    fields = {name: kind.model_fields[name] for name in kind.options()}
    for name, field in fields.items():
        parameter = _of_field(name, field)
        (required if parameter.default is inspect.Parameter.empty else optional).append(parameter)
    if "observation" in kind.takes:
        optional.append(_parameter("observation", OfOne, None))
    if kind.fits or any(map(_is_table, fields.values())):
        optional.append(_parameter("columns", Columns, None))
    if kind.fits:
        optional.append(_parameter("loss_unit", LossUnit, None))
    optional += [_parameter(extra.name, extra.annotation, None) for extra in extras]
    if kind.writes:
        option = typer.Option(metavar="TABLE.csv", help=f"Where to write the table of {kind.writes}; - is standard output.")
        optional.append(_parameter("out", Annotated[Path | None, option], None))
    return [*required, *optional, _parameter("as_json", AsJson, False)]


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _about(field: FieldInfo) -> dict[str, Any]:
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, Mapping) else {}


def _flags(name: str, field: FieldInfo) -> list[str]:
    """Return the names of a field's option on the command line, the last of them for a single entry."""
    choices = getattr(field.validation_alias, "choices", None) or [name]
    option = _about(field).get("option")
    return [option] if option else [f"--{choice.replace('_', '-')}" for choice in choices]


def _of_field(name: str, field: FieldInfo) -> inspect.Parameter:
    """Return the option, or the argument, of one field of a question."""
    text, kind, default, metavar = field.description, _type(field.annotation), field.default, None
    if kind is str and field.is_required():
        return _parameter(name, Annotated[str, typer.Argument(metavar=name.upper(), help=text)])
    if kind is bool:
        default = False
    elif kind is dict:
        kind, default, metavar = (
            list[str],
            None,
            f"{_about(field).get('column', 'COLUMN')}={_about(field).get('of', 'LABEL')}",
        )
    elif _is_table(field):
        kind, default, metavar = Path, None, "TABLE.csv"
    elif kind is tuple:
        kind, default, metavar = list[float], None, "<float>"
    elif kind is float:
        metavar = "<float>"
    parser = written_number if kind in (float, list[float]) else None
    option = typer.Option(*_flags(name, field), metavar=metavar, help=text, parser=parser)
    if field.is_required():
        return _parameter(name, Annotated[kind, option])
    return _parameter(name, Annotated[kind | None if default is None else kind, option], default)


def _type(annotation: Any) -> Any:
    """Return what kind of value a field takes: bool, int, float, str, dict or tuple."""
    kinds = [get_origin(part) or part for part in (get_args(annotation) or (annotation,)) if part is not NoneType]
    return get_origin(annotation) if get_origin(annotation) in (dict, tuple) else kinds[0]


def _is_table(field: FieldInfo) -> bool:
    """Whether a field takes the rows of a table."""
    rows = get_args(field.annotation)
    return get_origin(field.annotation) is tuple and get_origin(rows[0]) is dict


def _read(kind: type[Question], name: str, value: Any, columns: Mapping[str, str]) -> Any:
    """Return an option's value as its field takes it; what was left out is None."""
    field = kind.model_fields[name]
    if value in (None, []):
        return None
    if _is_table(field):
        from bayes_scaling.runs.table import read_inputs

        return read_inputs(value, columns=dict(columns))
    if _type(field.annotation) is dict:
        read = numbers if get_args(field.annotation)[1] is float else pairs
        return read(value, _flags(name, field)[-1])
    return value
