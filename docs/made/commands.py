"""The command line: a page for every verb, made of the application itself."""

from __future__ import annotations

from typing import Any

from typer.main import get_command

from bayes_scaling.cli import app
from bayes_scaling.cli.questions import PANELS
from bayes_scaling.questions.registry import entries
from docs.made.text import code, contents, heading, joined, plain, table


def verbs() -> dict[str, Any]:
    """Return the command of every verb."""
    group: Any = get_command(app)
    context = group.context_class(group, info_name="bayes-scaling")
    return {name: group.get_command(context, name) for name in group.list_commands(context)}


def pages() -> dict[str, str]:
    """Return the pages of the verbs."""
    commands = verbs()
    return {"commands/index.rst": _index(commands)} | {f"commands/{n}.rst": _page(n, verb) for n, verb in commands.items()}


def _panel(name: str, verb: Any) -> str:
    if name in entries():
        return entries()[name].panel
    panel = getattr(verb, "rich_help_panel", None)
    return panel if isinstance(panel, str) else "Fit"


def _index(commands: dict[str, Any]) -> str:
    said = (
        "Every verb has `--help` with an example, and most have `--json` for programs. Exit codes: 0 where it was done, 1 where "
        "something checked was not so, 2 for a mistake in what was given, which is one sentence on standard error."
    )
    panels = {name: _panel(name, verb) for name, verb in commands.items()}
    parts = []
    for panel in dict.fromkeys((*PANELS, *panels.values())):
        rows = [(f":doc:`{name}`", plain(_line(commands[name]))) for name in commands if panels[name] == panel]
        parts += [heading(panel, "-"), table(("verb", "what it does"), rows)] if rows else []
    return joined(heading("Command line"), plain(said), *parts, contents(commands))


def _line(verb: Any) -> str:
    return (verb.help or "").strip().partition("\n")[0]


def _page(name: str, verb: Any) -> str:
    context = verb.context_class(verb, info_name=f"bayes-scaling {name}")
    usage = " ".join(verb.collect_usage_pieces(context))
    example = (verb.epilog or "").partition("Example:")[2].strip()
    asked = f"The question behind it: :doc:`../questions/{name}`." if name in entries() else ""
    return joined(
        heading(name),
        plain(verb.help or ""),
        code(f"$ bayes-scaling {name} {usage}", "console"),
        f"Example:\n\n{code(f'$ {example}', 'console')}" if example else "",
        _described("argument", verb, context),
        _described("option", verb, context),
        asked,
    )


def _described(kind: str, verb: Any, context: Any) -> str:
    """Return the table of the arguments, or of the options, as the help has them."""
    given = (parameter.get_help_record(context) for parameter in verb.params if parameter.param_type_name == kind)
    rows = [(f"``{name}``", plain(meaning)) for name, meaning in filter(None, given)]
    return table((kind, "meaning"), rows) if rows else ""
