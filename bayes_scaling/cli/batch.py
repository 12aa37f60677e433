"""The verb that fits many models to many tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import AsJson
from bayes_scaling.cli.printing import print_json, say

if TYPE_CHECKING:
    from bayes_scaling.batch.run import State

_SHOWN: Final = 20


@app.command(epilog="Example: bayes-scaling batch jobs.toml --out batch --workers 4")
def batch(
    jobs: Annotated[Path, typer.Argument(metavar="JOBS.toml", help="Document with tables, models, settings and questions.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder of the results, or an address such as s3://bucket/batch.")],
    workers: Annotated[
        int | None, typer.Option(help="Processes on this machine (by default one per core), or SLURM jobs (by default one).")
    ] = None,
    executor: Annotated[
        str, typer.Option(help="local, dask://HOST:PORT (a running scheduler), or slurm (through dask-jobqueue).")
    ] = "local",
    retry: Annotated[str, typer.Option(help="failed: repeat the fits that failed before.")] = "none",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit every model to every table, resumable; exit with 1 when a table or a fit failed."""
    from bayes_scaling.batch.document import read_jobs
    from bayes_scaling.batch.plan import plan_of
    from bayes_scaling.batch.run import state_of
    from bayes_scaling.batch.store import Store

    document, store = read_jobs(jobs), Store(out)
    plan = plan_of(document, jobs)
    for note in plan.notes:
        say(note)
    state = state_of(plan, store, retry)
    counts = {
        **{"jobs": len(plan.jobs), "done": len(state.done), "failed": len(state.failed)},
        **{"to_do": len(state.left), "fitted": len(state.fitted)},
    }
    if dry_run:
        if as_json:
            print_json(counts | {"unread": plan.unread, "to_do_list": [[job.label, job.name] for job in state.left]})
            return
        for record in plan.unread:
            print(f"{record['table']} cannot be read: {record['reason']}")
        for job in state.left[:_SHOWN]:
            print(f"{job.label}: {job.name}, {len(job.table)} rows")
        if len(state.left) > _SHOWN:
            print(f"... and {len(state.left) - _SHOWN} more")
        print(_outlook(state, len(plan.jobs)))
        return
    from bayes_scaling.batch.executors import executor_of
    from bayes_scaling.batch.run import run_batch

    does = executor_of(executor, workers)
    if state.left:
        say(f"{counts['to_do']} of {counts['jobs']} fits to do, {counts['done']} done before, by {does.where}.")
    done, failed = run_batch(plan, store, does, retry=retry, pooled=document.pooled, state=state)
    if as_json:
        print_json({**counts, "fits": done, "failures": len(failed), "out": store.address})
    else:
        for record in failed[:_SHOWN]:
            print(f"FAILED {record['table']}, {record['model'] or 'all models'}: {record['reason']}")
        if len(failed) > _SHOWN:
            print(f"... and {len(failed) - _SHOWN} more in {store.place('failures.jsonl')}")
        print(f"{done} fit{'s' * (done != 1)}, {len(failed)} failed. Page: {store.place('index.html')}")
    if failed:
        raise typer.Exit(1)


def _outlook(state: State, jobs: int) -> str:
    """Return what is to do, and how long it may take, as far as it is known."""
    to_do = f"{len(state.left)} of {jobs} fits to do"
    if state.fitted:
        to_do += f", {len(state.fitted)} of which are stored and lack answers or a report"
    known = [record["seconds"]["all"] for record in (*state.done, *state.fitted)]
    each = f"; one took {sum(known) / len(known):.1f} s of a worker" if known else ""
    return f"{to_do}{each}. {len(state.done)} done, {len(state.failed)} failed before."
