"""Numbers that are other ones now, each with the reason: a meaning that was settled anew, never an accident."""

from __future__ import annotations

_ORDER = "effects of groups are drawn before the centre in every model, as they were in models of one law: same distribution"
_ONE_OBSERVATION = (
    "a model of one observation names its noise without it, and publishes a parameter that varies for every group"
)
_NAMES = "an effect is named by its grouping alone; the parameter stood in it twice"
_FINITE = "prior predictive intervals are of the finite draws; one overflow made them not a number"
_ALONG = (
    "rows along runs are judged by what the rows before them leave unexplained, in every model; the null draws moved with it"
)
_LABEL = "rows carry no label of their own position"
_SINGLE = "the old gradient had a constant in single precision; finite differences give the new one"
_WORDS = "words: checks have the standard names of tests and predictive intervals; every value is compared as before"
_CONSTANT = (
    "an additive constant was worked out in single precision; gradients are compared as before, and numpy gives the new one"
)
_ERROR = "a standard error belongs to the single row, outside the correlated part"
_PREDICTED = "decisions minimise the loss that is predicted, the law with its discrepancy; they minimised the law's alone"
_MEASURED = "a risk other than the mean judges what a new run measures, noise too; it judged the law's loss"
_LAW = "what the law alone says stands beside it"
_STEP = "among optima that differ by more than a factor 40 the choice is found to a finer step, 6e-5 away; the law stands beside it"
_LIFETIME = (
    "the interval includes what the posterior does not know, and the chance of the loss is said; the tokens, and the compute "
    "that rests on them, are found to another 1e-7"
)
_VERDICTS = "verdicts are three, by a region around what is published; the contraction is that of the number itself"
_RUNS = "new runs of two recipes draw the noise that predictions of each draw"
_MANY = "many variants are compared at once: which one, against which, and the chance that it is the best of all"
_NOISE = "the runs of all budgets share their noise, sixteen a draw: a chance is told more exactly, and is the same beside other budgets"
_REACH = "an answer that names a size says how far it lies from those of the runs"
_FRESH = "the loss at the reference point, a coordinate, is that of fresh data; the case of that name has the numbers"

EXCEPTIONS: dict[str, str] = {
    "answers/question recipes/crossing/0/chance_beyond": "Crossings beyond the runs are told from those among them.",
    "answers/question recipes/crossing/0/beyond": "As for their probability.",
    **{
        f"prior_draws/{document}/{name}": _ORDER
        for document in ("kaplan_system", "kaplan_system_offset")
        for name in ("N_c_spread", "N_c_effect", "N_c_at_reference", "N_c")
    },
    **{f"prior_draws/{document}/S_least": _ORDER for document in ("critical_batch", "critical_batch_of_data")},
    **{f"prior_draws/shape/{name}": _ONE_OBSERVATION for name in ("aspect_best", "aspect_cost", "sigma")},
    "densities/kappa, repeats, points and errors": _ERROR,
    "densities/repeated/gradient/": _FRESH,
    **{f"densities/critical_batch_of_data/gradient/{point}/gamma_B_interval__": _SINGLE for point in range(3)},
    **{f"answers/summarize system/{row}/label": _NAMES for row in range(4)},
    **{
        f"densities/{case}/log_density": _CONSTANT
        for case in (
            *("kaplan_n", "chinchilla, errors", "repeated", "chinchilla_by_group", "kappa_by_group"),
            *("kappa_by_group_forecast", "kaplan_system", "kaplan_system_offset"),
        )
    },
    "answers/check kappa/7": _FINITE,
    **{f"answers/check kappa along runs/{row}/value": _ALONG for row in (6, 8, 9, 10)},
    **{f"answers/check system/{row}/value": _ALONG for row in range(14, 20)},
    **{
        f"answers/check {of}/{row}/check": _WORDS
        for of, last in (("chinchilla", 10), ("kappa", 10), ("kappa along runs", 10), ("kappa by group", 9), ("system", 20))
        for row in range(6, last + 1)
    },
    "answers/allocate/": _PREDICTED,
    **{f"answers/{of}": _PREDICTED for of in ("regret of kappa", "robust", "next run for a budget", "next runs")},
    **{f"answers/question {of}": _PREDICTED for of in ("regret", "next run")},
    **{f"answers/allocate {risk}": _MEASURED for risk in ("quantile:0.9", "cvar:0.9", "exceed:2.2", "median")},
    **{f"answers/allocate {how}/0/law_params": _LAW for how in ("within limits", "of limited text")},
    "answers/allocate by group": _STEP,
    **{f"answers/{of}/{row}/law_regret": _LAW for of in ("regret", "question allocation/regret") for row in (0, 1)},
    "answers/question allocation/allocation/0/law_params": _LAW,
    "answers/question allocation/chance/0/chance": _NOISE,
    **{f"answers/stop early/{row}/reach_params": _REACH for row in range(3)},
    **{f"answers/question stopping/runs/{row}/reach_params": _REACH for row in range(2)},
    **{f"answers/{of}": _LIFETIME for of in ("lifetime", "question lifetime")},
    **{
        f"answers/{of}/{row}/chance_of_runs": _RUNS
        for of, row in (("recipes", 0), ("recipes", 1), ("question recipes/recipes", 0))
    },
    **{
        f"answers/question recipes/{table}/0/{column}": _MANY
        for table in ("recipes", "crossing")
        for column in ("variant", "against", "chance_best")
    },
    **{
        f"answers/claims/{row}/{name}": _VERDICTS
        for row in range(31)
        for name in (
            *("verdict of claim", "contraction", "region", "region_lower", "region_upper"),
            *("constants_give", "prior_lower", "prior_upper"),
        )
    },
    **{f"answers/expected {of}/at/run": _LABEL for of in ("kappa along runs", "kappa by group")},
}
"""Beginning of the path of a number, and why it is another one."""
