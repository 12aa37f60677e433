"""Writes the page of claims, README.md beside this file: every number that was measured comes from the files beside it.

python -m notebooks.claims.page
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan, log10
from pathlib import Path
from typing import Any

from bayes_scaling.questions.claims import AGREES, CANNOT_TELL, CLAIMS, VERDICTS
from bayes_scaling.wording import number
from notebooks.markdown import table

HERE = Path(__file__).parent
SYSTEMS = {
    "ladder": "our ladder",
    "shehper2023": "shehper2023",
    "moser2025": "moser2025",
    "olmo_ladder2024": "olmo_ladder2024",
}
"""Data sets that tell claims of the whole system, in the order of the columns."""
BY_NAME = {claim.statement: claim for claim in CLAIMS}
_SHAPE = "cost of the ends of a 40-fold range of aspect ratios"
_BATCH = "critical batch at the convergence of the paper's largest model"
_CROSSING = "compute where the laws contradict each other"
_STOPS = "compute-optimal training stops above the converged loss by"
_ONE_PASS = "exponent of size in compute by L(N, D), each token seen once"
_KAPLAN, _TUNED = "Kaplan's recipe and count", "or rate, batch and beta tuned"
"""The ends of the way of porian2024."""
SHOWN = [
    "exponent of size in L(N)",
    "exponent of data in L(D)",
    "exponent of steps in L(N, S_min)",
    "exponent of the critical batch",
    "fall of the loss that doubles the critical batch",
    "gradient noise scale over critical batch",
    "exponent of the loss in compute",
    "exponent of size in compute",
    "exponent of size in compute by L(N, D), each token seen once",
    "exponent of the batch in compute",
    "exponent of the steps in compute",
    "exponent of the data in compute",
    "exponent of the data that size asks for",
    "exponent in compute of the data that size asks for",
    "compute where the laws contradict each other",
    "loss where the laws contradict each other",
    "compute-optimal training stops above the converged loss by",
    "compute for 0.6 times the best size",
    "compute for 2.2 times the best size",
    "steps for 2.2 times the best size",
    "compute of efficient training over that to 2 % above convergence",
]
"""Claims of the table: those that do not depend on what a token is, and the contradiction."""


def page(results: Mapping[str, Any], recovery: Mapping[str, Any], curves: Mapping[str, float]) -> str:
    """Return the page."""
    parts = [
        _introduction(),
        "## The claims",
        _claims_table(results),
        _rules(results),
        "## What became of them",
        _verdicts(results),
        "## Data set by data set",
        *_sections(results),
        "## One posterior, or several",
        _alone(results["ladder"]),
        "## What a design can pin down",
        _recovery(recovery),
        "## Points of a curve are not independent",
        _curves(results, curves),
        "## How to make this page",
        "`BAYES_SCALING_MIRROR=<folder of public tables> make claims` fits everything again (some minutes on two cores) and "
        "writes this page; the documents are beside it. The tables of designs come from `RECOVERY=notebooks/claims/recovery.json CURVES=notebooks/claims/curves.json make "
        "validate`.",
    ]
    return "\n\n".join(parts) + "\n"


def _introduction() -> str:
    return (
        "# What Kaplan et al. (2020) claim, with intervals\n\n"
        "Six power laws, fitted one by one, published without a standard error, and combined as if their exponents were known. "
        "Here each statement that follows from them is told by a posterior, on our own ladder and on public runs, with everything "
        "it rests on carried along: `bayes-scaling fit ladder --model kaplan_system --out fit.nc`, then `bayes-scaling claims fit.nc`."
    )


def _rules(results: Mapping[str, Any]) -> str:
    judged = {name: [each.verdict for s in SHOWN if (each := _judged(results[name], s))] for name in SYSTEMS}
    counts = [[SYSTEMS[name], *(str(verdicts.count(verdict)) for verdict in VERDICTS)] for name, verdicts in judged.items()]
    return (
        "Numbers are posterior medians with 90 % intervals. The paper prints no intervals; **equal to it** is the range that is practically "
        "equal to what it prints: within 10 % of an exponent or a ratio, since the paper calls exponents of .054 and .050 an excellent agreement "
        "(below its equation 6.4); within a factor of two of a ratio of batches; within an order of magnitude of the contradiction, as the paper "
        "says below (6.8); and up to the limit where it states one: only 20 % more compute, steps that grow as C to the .03 and may not grow, less than 3 % over "
        "aspect ratios. `bayes-scaling claims` prints the reason beside each. An interval inside this range **agrees**, one wholly outside disagrees, any "
        "other cannot tell; nor can one that the runs have narrowed by less than half in variance from its prior, of whatever width. Where the runs left more than a tenth of "
        "the prior's variance, the prior's 90 % interval stands beside the number. Where parts of a data set tell a number alone and their intervals exclude each "
        "other, both stand there, and a verdict only if each of them gives it.\n\n"
        "**Its constants give**: what the constants that the paper prints (Tables 2 and 3, equations 1.1, 1.2 and 1.4) imply for the statement. They "
        "are not always what it prints: its own laws let the steps grow more than twice as fast as it says. An empty cell: the data set has nothing to do with the "
        "statement. Exponents and ratios compare across tokenizers and corpora; losses and computes do not, and are there to show how wide they are.\n\n"
        f"{table(['statements above', *VERDICTS], counts)}"
    )


def _claims_table(results: Mapping[str, Any]) -> str:
    head = ["claim", "paper", "equal to it", "its constants give", *SYSTEMS.values()]
    rows = []
    for statement in SHOWN:
        judged = [_judged(results[name], statement) for name in SYSTEMS]
        rows.append([*_stated(statement), *(_cell(each) for each in judged)])
    cells = [_cell(_judged(each, _SHAPE)) for each in (results["ladder"]["shape"], results["gemstones2025"])]
    rows.append([*_stated(_SHAPE), cells[0], f"gemstones2025: {cells[1]}", "", ""])
    return table(head, rows)


def _stated(statement: str) -> list[str]:
    """Write what the paper says: the statement, its number, what is practically equal to it, and what its constants give."""
    claim = BY_NAME[statement]
    published = " to ".join(number(value) for value in claim.published)
    gives = "" if isnan(claim.of_constants) else number(claim.of_constants)
    return [f"{statement}, {claim.equation}", published, " to ".join(map(number, claim.region)), gives]


@dataclass(frozen=True)
class Judged:
    """What one data set says of a claim: the interval, the verdict, and the measurements in it that exclude each other."""

    numbers: Sequence[float]
    verdict: str
    against: Mapping[str, Sequence[float]]


def _judged(result: Mapping[str, Any], statement: str) -> Judged | None:
    """Judge a claim by a data set, or say nothing where the claim does not follow from the fit.

    Where observations that tell the number by themselves exclude each other, a verdict stands only if each of them gives it.
    """
    numbers = result["claims"].get(statement)
    if numbers is None or numbers[0] is None or not result["converged"]:
        return None
    alone = {n: each["claims"].get(statement) for n, each in result.get("alone", {}).items() if each["converged"]}
    told = {n: each for n, each in alone.items() if each is not None and each[0] is not None and each[5] >= 0.5}
    against = {n: each for n, each in told.items() if any(each[1] > o[2] or each[2] < o[1] for o in told.values())}
    verdicts = {BY_NAME[statement].verdict(each[1], _end(each[2]), each[5]) for each in (numbers, *against.values())}
    return Judged(numbers, verdicts.pop() if len(verdicts) == 1 else CANNOT_TELL, against)


def _end(upper: float | None) -> float:
    """Return the upper end of an interval, which JSON cannot hold where it is infinite."""
    return inf if upper is None else upper


def _cell(judged: Judged | None) -> str:
    """Write one answer with its verdict, what its measurements say where they disagree, and the prior where it says much."""
    if judged is None:
        return ""
    said = spread(judged.numbers)
    if judged.against:
        said += "; " + ", ".join(f"{name} alone {spread(each)}" for name, each in judged.against.items())
    if judged.numbers[5] < 0.9:
        said += f"; prior {number(judged.numbers[3])} to {number(_end(judged.numbers[4]))}"
    return f"{said}: {'**agrees**' if judged.verdict == AGREES else judged.verdict}"


def _verdicts(results: Mapping[str, Any]) -> str:
    ladder, porian = results["ladder"], results["porian2024"]["steps"]
    offset = next(row for row in ladder["prefer_offset"] if row["model"] == "offset")
    data = next(row for row in ladder["prefer_data"] if row["model"] == "of the data")
    stops = ladder["stopping"]
    after = sum(row["above"] > 0.5 for row in stops)
    decayed = next(r for r in ladder["agreement"] if (r["first"], r["second"]) == ("curves", "decayed"))
    limited = next(r for r in ladder["agreement"] if (r["first"], r["second"]) == ("curves", "limited"))
    gamma = results["steplaw2025"]["parameters"]["gamma_B"]
    first, last = (porian[name]["parameters"]["size_power"] for name in (_KAPLAN, _TUNED))

    def told(statement: str) -> str:
        judged = {SYSTEMS[name]: _judged(results[name], statement) for name in SYSTEMS}
        return ", ".join(f"{name} {each.verdict}" for name, each in judged.items() if each is not None)

    def gives(statement: str) -> str:
        return number(BY_NAME[statement].of_constants, 2)

    crossing = BY_NAME[_CROSSING]
    said = [
        f"**L(N) is a power law with an exponent of .076 (1.1).** Verdicts above: {told('exponent of size in L(N)')}. The exponent belongs to corpus, tokenizer and kind of run.",
        f"**No loss is irreducible.** On the ladder, the form with an offset predicts left-out runs by {offset['difference']:.1f} (standard error "
        f"{offset['difference_se']:.1f}) in log density, beside the form without; its E is {spread(ladder['offset']['parameters']['E'])}. Three decades of tiny "
        "models say little about large ones.",
        f"**One L(N, infinity) for every kind of run.** On the ladder, N_c of runs on limited data is that of curves at a constant rate times "
        f"{spread_of(limited)}, and that of runs with a decayed rate times {spread_of(decayed)}.",
        f"**The critical batch depends on the loss alone (1.4).** On the ladder, the law of the data predicts left-out runs by {data['difference']:.0f} ({data['difference_se']:.0f}) in log "
        f"density beside the law of the loss, at the same rows, though {data['unreliable']} of {data['runs']} runs are hard to leave out by weighting. Its exponent: "
        f"{told('exponent of the critical batch')}. The ladder measures it twice, by steps at several batches ({spread(ladder['alone']['curves']['parameters']['alpha_B'])}) and by the "
        f"gradient noise ({spread(ladder['alone']['noise']['parameters']['alpha_B'])}): where these exclude each other, the joint number lies between them and is neither. The gradient noise scale is {spread(ladder['critical_batch']['parameters']['noise_ratio'])} of the critical batch that "
        f"scans find, {spread(ladder['parameters']['noise_ratio'])} of the one of the whole system. At 1.5 billion parameters converged, three decades beyond our largest, it would be "
        f"{_cell(_judged(ladder, _BATCH))}; the paper has one to two million, and its constants give {gives(_BATCH)}. The best batch of steplaw2025, another thing than the critical one, grows as the "
        f"data to the power {spread(gamma)}{'' if results['steplaw2025']['converged'] else ', of a fit that failed a convergence check'}.",
        f"**Compute should go into size: N as C to the .73, steps as C to the .03, data as C to the .27 (Table 6).** These were fitted to the frontier. The paper's own L(N, S_min) and critical "
        f"batch give {gives('exponent of size in compute')}, {gives('exponent of the steps in compute')} and {gives('exponent of the data in compute')}, and its L(N, D), each token seen once, "
        f"{gives(_ONE_PASS)} for size. Size: {told('exponent of size in compute')}. Steps: {told('exponent of the steps in compute')}. Runs of equal compute on the ladder: "
        f"{spread(ladder['isoflop']['parameters']['size_power'])}. On porian2024 the recipe and the count explain it: {spread(first)} with Kaplan's, {spread(last)} tuned and with the output layer "
        "counted. Counting alone turns Hoffmann's .51 into .78 over Kaplan's range (Pearce and Song 2024; a test of ours reproduces it).",
        f"**Efficient training stops 10 % above convergence (appendix B).** Verdicts above: {told(_STOPS)}.",
        f"**0.6 to 2.2 times the best size costs only 20 % more (appendix B).** A limit. At 0.6 times: {told('compute for 0.6 times the best size')}. At 2.2 times: "
        f"{told('compute for 2.2 times the best size')}.",
        f"**Data should grow as N to the .74 (4.4).** Verdicts above: {told('exponent of the data that size asks for')}.",
        f"**Stopping is bounded from below (5.7).** {after} of {len(stops)} runs on limited data were best at or after the bound; the others are "
        "small models, where overfitting is slight and the step hardly told.",
        f"**The laws contradict each other at 1e4 PF-days (6.8).** The ladder places it within {_decades(ladder['claims'][_CROSSING])} decades of compute: a point that nobody can name from such "
        f"fits. The paper's own constants, with L(D) of (1.2), place it {log10(crossing.of_constants / crossing.published[0]):.1f} decades above where it says.",
        f"**Shape matters little (section 3.1).** Over a 40-fold range: gemstones2025 {_cell(_judged(results['gemstones2025'], _SHAPE))}; the ladder, whose models are mostly smaller than any of "
        f"the paper's, {_cell(_judged(ladder['shape'], _SHAPE))}.",
        f"**Repetition.** Kaplan et al. stop early instead. On muennighoff2023 a repeated token is worth less and less with R* of "
        f"{spread(results['muennighoff2023']['parameters']['R_D'])} up to sixty epochs and {spread(results['muennighoff2023']['all']['parameters']['R_D'])} with all "
        "runs that had not overfitted (published 15.4, on another selection).",
    ]
    return "\n".join(f"- {line}" for line in said)


def _sections(results: Mapping[str, Any]) -> list[str]:
    says = {
        "ladder": "Our own 135 runs on bytes: every law of the paper at once.",
        "shehper2023": "Seven models up to 6.3 million parameters, after the paper's recipe. A cosine over the whole run bends every curve alike, which "
        "the exponent of steps takes up, and one batch leaves the critical one to its prior.",
        "moser2025": "Ten models up to 9.5 million parameters at one small batch and a nearly constant rate: size and steps both fall faster than in the "
        "paper, by nearly one ratio.",
        "olmo_ladder2024": "Sizes to 2.8 billion, batches that grow with size: the exponent of size is below the paper's, and curves at a high rate "
        "do not follow one law over sizes.",
        "porian2024": "Runs of equal compute, step by step from Kaplan's recipe to Chinchilla's: most of the way is the output layer and the warm-up.",
        "gemstones2025": "Sixteen shapes at five sizes: what the aspect ratio costs.",
        "steplaw2025": "The best batch against the data, with a factor of its own for each size: the published power of D comes back, and size hardly "
        "matters beside it. The check that fails takes points on a flat ridge, a tenth apart in log density, for modes of their own; NUTS gives "
        "the same power, 0.568 (0.541 to 0.595), and fails the same check.",
        "muennighoff2023": "What seeing data again is worth.",
    }
    found = []
    for name, said in says.items():
        result = results[name]
        parts = result["steps"].values() if name == "porian2024" else [result]
        rows = (
            ", ".join(f"{count} {what}" for what, count in result["rows"].items())
            if "rows" in result
            else f"{sum(sum(p['rows'].values()) for p in parts)} rows in six fits"
        )
        converged = all(part["converged"] for part in parts)
        failed = [check for part in parts for check in part["failed"]]
        checks = sum(part["checks"] for part in parts)
        failure = " ".join(part["verdict"] for part in parts if not part["converged"])
        verdict = "every convergence check passed" if converged else f"**convergence checks FAILED**: {failure.rstrip('.')}"
        state = f"{rows}; {verdict}; {checks - len(failed)} of {checks} checks of adequacy passed" + (
            f", not {', '.join(failed)}" if failed else ""
        )
        found.append(f"### {name}\n\n{said}\n\n{state}. Document: {_document(name)}.\n\n![{name}]({result['figure']})")
    return found


def _document(name: str) -> str:
    shipped = {"ladder": "kaplan_system", "muennighoff2023": "repeated"}
    return (
        f"[models/{shipped[name]}.toml](../../models/{shipped[name]}.toml)"
        if name in shipped
        else f"[{name}.toml]({name}.toml)"
    )


def _alone(ladder: Mapping[str, Any]) -> str:
    rows = []
    for name in ("N_c", "alpha_N", "D_c", "alpha_D", "S_c", "alpha_S", "B_star", "alpha_B", "noise_ratio"):
        row = [name, spread(ladder["parameters"][name])]
        row += [
            spread(alone["parameters"][name]) if name in alone["parameters"] else "" for alone in ladder["alone"].values()
        ]
        rows.append(row)
    said = table(["parameter", "jointly", *(f"{name} alone" for name in ladder["alone"])], rows)
    return (
        f"{said}\n\nThe ladder, 90 % intervals: one posterior over all observations, and each observation's law alone. Limited data and curves "
        "each know two to four sizes; the decayed ends bring three decades, and what they say of alpha_N narrows everything that follows from it. "
        "Where alone and jointly do not overlap, the laws pull against each other: curves at two sizes would rather have a steeper law of steps. "
        "Fit jointly, N_c is the centre of a population of three, and wider for that. "
        f"The joint fit took {ladder['seconds']:.0f} s of {ladder['sampler']} sampling, its draws worth {ladder['effective']:.0f} independent ones."
    )


def _recovery(recovery: Mapping[str, Any]) -> str:
    names = list(next(iter(recovery.values()))["parameters"])
    rows = []
    for name in names:
        row = [name]
        for design in recovery.values():
            told = design["parameters"][name]
            row += [f"{told['sd']:.3f}", f"{told['0.5']:.0%}, {told['0.9']:.0%}"]
        rows.append(row)
    head = ["constant", "Kaplan's: sd of the log", "inside 50 %, 90 %", "the ladder's: sd of the log", "inside 50 %, 90 % "]
    claims = {design: told["claims"] for design, told in recovery.items()}
    mean = {d: {p: sum(c[p] for c in told.values()) / len(told) for p in ("0.5", "0.9")} for d, told in claims.items()}
    tables = next(iter(recovery.values()))["tables"]
    return (
        f"{tables} tables each, simulated with the paper's constants on Kaplan's design (N from 768 to 1.5e9, D from 22M to 23B, one batch of 2^19) and on the "
        "ladder's, one per cent of noise, correlated along curves; each fitted as one system with priors wide enough for both.\n\n"
        f"{table(head, rows)}\n\n"
        f"Of the {len(claims['kaplans'])} claims that follow, intervals of 50 % and 90 % held the truth in {mean['kaplans']['0.5']:.0%} and {mean['kaplans']['0.9']:.0%} of tables on Kaplan's "
        f"design, {mean['ladders']['0.5']:.0%} and {mean['ladders']['0.9']:.0%} on the ladder's. Kaplan's design tells the exponents of size and data to one or two per cent, and scales to "
        "tens; the critical batch only through the gradient noise, since one batch says nothing. The ladder's batches tell the critical batch and the exponent of steps, "
        "but at its sizes a loss with the paper's constants is mostly steps: N_c and D_c are told within factors of four to seven."
    )


def _curves(results: Mapping[str, Any], curves: Mapping[str, float]) -> str:
    fitted = {name: results[name]["parameters"] for name in SYSTEMS}
    lengths = {name: found.get("length_curves", found.get("length")) for name, found in fitted.items()}
    said = ", ".join(f"{name} {spread(length)}" for name, length in lengths.items())
    return (
        "Residuals of neighbouring points go together: an Ornstein-Uhlenbeck process in the logarithm of steps, whose length (in natural units of log "
        f"steps) is an unknown of the fit. Measured: {said}. On {curves['tables']:.0f} tables simulated with such curves, intervals of 90 % for N_c, alpha_N, S_c and alpha_S "
        f"hold the truth {curves['correlated']:.0%} of the time with the process, {curves['independent']:.0%} with points taken as independent."
    )


def spread(told: Sequence[Any]) -> str:
    """Write a median with its interval."""
    return f"{number(told[0])} ({number(told[1])} to {number(_end(told[2]))})"


def spread_of(row: Mapping[str, float]) -> str:
    """Write a row's median with its interval."""
    return spread([row["median"], row["lower"], row["upper"]])


def _decades(told: Sequence[float]) -> str:
    return f"{log10(told[2] / told[1]):.0f}"


def measured() -> tuple[Any, ...]:
    """Return what the page is made of."""
    return tuple(
        json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in ("results", "recovery", "curves")
    )


if __name__ == "__main__":
    (HERE / "README.md").write_text(page(*measured()), encoding="utf-8")
