"""How many answers a second the service gives on this machine, and how long they take; service and clients share it.

Run with ``make benchmark``, or alone with ``python -m tests.benchmarks.load``: eight clients ask ``predict`` and ``allocate``
in turn, first a hundred questions that come again and again, then questions that nobody asked before; then sixty-four clients
for a minute, half of whose questions are new at first, with the memory of all processes before and after. ``--seconds`` makes each part shorter, ``--fit`` names a fit.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

from tests.service.service import Service, checked, start

CLIENTS = 8
MANY = 64
AGAIN = 100
"""Questions that come again and again."""


def megabytes(service: Service) -> float:
    """Return the resident memory of the service and its workers."""
    pages = 0
    for pid in (service.process.pid, *service.children):
        pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def question(number: int) -> str:
    """Return one question of a thousand million: a run, or a budget, a decade and less beyond the runs of the ladder."""
    share = number / 1e9
    return f"predict?params={2e5 * (1 + share)!r}&tokens=1.2e7" if number % 2 else f"allocate?compute={1e13 * (1 + share)!r}"


async def client(port: int, until: float, numbers: Iterator[int], took: list[float], seen: Counter[str]) -> None:
    """Ask one question after the other over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in numbers:
        if time.perf_counter() > until:
            break
        begun = time.perf_counter()
        writer.write(f"GET /fits/fit/{question(number)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        await reader.readexactly(length)
        status = head.split()[1]
        seen[status] += 1
        if status == "200":
            took.append(time.perf_counter() - begun)
        elif status == "429":
            await asyncio.sleep(0.2)
    writer.close()


def numbers(seed: int, distinct: int | None) -> Iterator[int]:
    """Yield numbers of questions without end: of some that come again and again, or all different."""
    drawn = random.Random(seed)
    while True:
        yield drawn.randrange(distinct or 10**9)


async def load(service: Service, clients: int, seconds: float, distinct: int | None) -> tuple[list[float], Counter[str]]:
    """Let several clients ask for some seconds; return how long answers took, and how many of each status there were."""
    took: list[float] = []
    seen: Counter[str] = Counter()
    until = time.perf_counter() + seconds
    each = (client(service.port, until, numbers(time.time_ns() + n, distinct), took, seen) for n in range(clients))
    await asyncio.gather(*each)
    return took, seen


async def ask_all(service: Service, distinct: int) -> None:
    """Ask each of some questions once."""
    each = (client(service.port, float("inf"), iter(range(n, distinct, 4)), [], Counter()) for n in range(4))
    await asyncio.gather(*each)


def line(name: str, took: list[float], seen: Counter[str], seconds: float) -> str:
    """Return one result in words."""
    cuts = quantiles(took, n=100)
    return (
        f"{name}: {len(took) / seconds:.0f} answers a second, median {1e3 * cuts[49]:.1f} ms, p99 {1e3 * cuts[98]:.1f} ms; "
        f"{dict(seen)}"
    )


def main() -> None:
    """Print a line for each load."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--seconds", type=float, default=20.0)
    given.add_argument("--minute", type=float, default=60.0)
    given.add_argument("--fit", type=Path, help="A stored fit; by default one of kappa to the shipped ladder.")
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.fit:
            (folder / "fit.nc").write_bytes(asked.fit.read_bytes())
        else:
            import bayes_scaling as bs

            runs = bs.load_runs("ladder").where("series in ['size', 'compute'] and compute_flops < 1e13")
            checked(bs.fit(runs, "kappa", seed=1, progress=False)).save(folder / "fit.nc")
        service = start(folder)
        try:
            asyncio.run(load(service, 2, 3.0, None))  # both workers have the fit
            asyncio.run(ask_all(service, AGAIN))
            for what, distinct in (("asked before", AGAIN), ("never asked before", None)):
                took, seen = asyncio.run(load(service, CLIENTS, asked.seconds, distinct))
                print(line(f"{CLIENTS} clients, {what}", took, seen, asked.seconds), flush=True)
            before = megabytes(service)
            took, seen = asyncio.run(load(service, MANY, asked.minute, 2 * AGAIN))
            print(line(f"{MANY} clients, half of them asked before", took, seen, asked.minute))
            print(f"memory of all processes: {before:.0f} MB before, {megabytes(service):.0f} MB after")
        finally:
            service.stop()


if __name__ == "__main__":
    main()
