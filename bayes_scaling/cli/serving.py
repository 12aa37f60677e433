"""The service: stored fits that answer over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.printing import say
from bayes_scaling.errors import InvalidRequest

_NEEDS = ("fastapi", "uvicorn", "prometheus_client")


@app.command(rich_help_panel="Share", epilog="Example: bayes-scaling serve demo --port 8000")
def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of fits (*.nc), or of a batch.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that other machines can reach needs --token-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for any that is free.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the token that every request has to send.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes.")] = 2,
    at_once: Annotated[int, typer.Option(help="Most requests at once; further ones are told to try again.")] = 32,
    seconds: Annotated[float, typer.Option(help="Most seconds that an answer may take.")] = 30.0,
) -> None:
    """Answer questions about the fits of a folder over HTTP, with a page at /."""
    from importlib.util import find_spec

    if missing := [name for name in _NEEDS if find_spec(name) is None]:
        raise InvalidRequest(
            f"Serving fits needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            f'pip install "bayes-scaling[serve]".'
        )
    from bayes_scaling.service.server import serve as run
    from bayes_scaling.service.settings import Settings, read_token

    token = "" if token_file is None else read_token(token_file)
    run(Settings(folder, host, port, token, workers, at_once, seconds=seconds), say)
