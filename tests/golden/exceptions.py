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

EXCEPTIONS: dict[str, str] = {
    **{
        f"prior_draws/{document}/{name}": _ORDER
        for document in ("kaplan_system", "kaplan_system_offset")
        for name in ("N_c_spread", "N_c_effect", "N_c_at_reference", "N_c")
    },
    **{f"prior_draws/{document}/S_least": _ORDER for document in ("critical_batch", "critical_batch_of_data")},
    **{f"prior_draws/shape/{name}": _ONE_OBSERVATION for name in ("aspect_best", "aspect_cost", "sigma")},
    "densities/kappa, repeats, points and errors": _ERROR,
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
    **{f"answers/expected {of}/at/run": _LABEL for of in ("kappa along runs", "kappa by group")},
}
"""Beginning of the path of a number, and why it is another one."""
