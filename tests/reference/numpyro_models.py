"""The shipped documents as models of NumPyro, each from the equations of its paper: nothing of the package.

The numbers of the priors are those of the document; what they are priors of is written out here. A coefficient is
stated as what its term leaves of the loss at the reference point, the geometric mean of the rows, as a multiple of the typical
loss, the geometric mean of those measured. Every model is of the logarithm of what was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import tables

Document = dict[str, Any]


def draw(name: str, prior: dict[str, Any]) -> Any:
    """Draw an unknown from the prior of a document."""
    kind = prior["dist"]
    if kind == "LogNormal":
        return numpyro.sample(name, dist.LogNormal(prior["mu"], prior["sigma"]))
    if kind == "HalfNormal":
        return numpyro.sample(name, dist.HalfNormal(prior["sigma"]))
    if kind == "Gamma":
        return numpyro.sample(name, dist.Gamma(prior["alpha"], prior["beta"]))
    if kind == "Uniform":
        return numpyro.sample(name, dist.Uniform(prior["lower"], prior["upper"]))
    raise ValueError(kind)


def middle(values: Any) -> float:
    """Return the geometric mean."""
    return float(np.exp(np.log(np.asarray(values, float)).mean()))


def unknowns(document: Document, *names: str) -> list[Any]:
    """Draw parameters of the law."""
    return [draw(name, document["parameters"][name]["prior"]) for name in names]


def losses(document: Document, unit: float, **labels: str) -> list[Any]:
    """Draw parameters that are losses, as multiples of a unit; ``labels`` says what each is stored as."""
    found = []
    for name, label in labels.items():
        value = draw(f"{name}_multiple", document["parameters"][name]["prior"]) * unit
        found.append(numpyro.deterministic(label, value))
    return found


def two_losses(document: Document, unit: float, share: Any = 1.0, **labels: str) -> list[Any]:
    """Draw two parameters that are losses, of which the first and a share of the second add up, by the logarithms of their sum and ratio.

    Rows know the sum; as the second goes to nothing, its own logarithm is a funnel to the sampler. The logarithms of the two
    are the others turned, stretched and moved with a determinant of one, so that their priors are what they were.
    """
    (first, second), real = labels.items(), dist.ImproperUniform(dist.constraints.real, (), ())
    whole, ratio = numpyro.sample("log_sum_multiple", real), numpyro.sample("log_ratio_multiple", real)
    log_first = whole - jax.nn.softplus(ratio)
    found = []
    for (name, label), log_value in ((first, log_first), (second, log_first + ratio - jnp.log(share))):
        prior = document["parameters"][name]["prior"]
        numpyro.factor(f"{name}_prior", dist.Normal(prior["mu"], prior["sigma"]).log_prob(log_value))
        found.append(numpyro.deterministic(label, jnp.exp(log_value) * unit))
    return found


def student(mean: Any, measured: Any, likelihood: Document) -> None:
    """Measure with Student-t residuals of the logarithm."""
    nu = likelihood["nu"] if isinstance(likelihood["nu"], float) else draw("nu", likelihood["nu"])
    numpyro.sample("y", dist.StudentT(nu, mean, draw("sigma", likelihood["sigma"])), obs=np.log(measured))


def walk(values: Any, smooth: float, origin: float | None = None) -> np.ndarray:
    """Return the covariance over rows of a random walk of unit scale a decade, averaged over ``smooth`` decades, zero at the origin.

    Steps of independent Normals, straight between knots ``smooth`` decades apart; the average is taken numerically.
    """
    decades = np.log10(np.asarray(values, float))
    place = (decades - (decades.mean() if origin is None else origin)) / smooth
    inside = (np.arange(2000) + 0.5) / 2000 - 0.5
    steps = np.arange(np.floor(min(place.min(), 0) - 1), np.ceil(max(place.max(), 0) + 1))

    def averaged(at: np.ndarray) -> np.ndarray:
        return np.clip(at[:, None, None] + inside[:, None] - steps, 0, 1).mean(axis=1)

    shares = averaged(place) - averaged(np.zeros(1))
    return smooth * shares @ shares.T


def gaussian(law: Any, measured: Any, likelihood: Document, covariances: dict[str, tuple[Document, np.ndarray]]) -> None:
    """Measure with Normal residuals, of which some are shared: discrepancies and recipes, each a scale and a covariance."""
    typical, count = middle(measured), len(measured)
    sigma = draw("sigma", likelihood["sigma"])
    growth = 1.0
    if "growth" in likelihood:
        exponent, floor = draw("growth", likelihood["growth"]), draw("floor", likelihood["floor"])
        growth = jnp.sqrt(floor**2 + (1 - floor**2) * (law / typical) ** (2 * exponent))
    covariance = sigma**2 * jnp.eye(count)
    for name, (prior, matrix) in covariances.items():
        covariance = covariance + draw(name, prior) ** 2 * matrix
    covariance = covariance * growth * jnp.reshape(growth, (-1, 1))
    factor = jnp.linalg.cholesky(covariance)
    numpyro.sample("y", dist.MultivariateNormal(jnp.log(law), scale_tril=factor), obs=np.log(measured))


def discrepancies(document: Document, table: pd.DataFrame, by: Any = None) -> dict[str, tuple[Document, np.ndarray]]:
    """Return the scale and the covariance of every discrepancy of a document."""
    column = {"N": "params", "D": "tokens", "C": "compute_flops"}
    if "offset_d" in document["title"]:
        column["D"] = "dataset_tokens"
    found = {}
    for name, stated in document.get("discrepancy", {}).items():
        values = table[column[name]].to_numpy(float)
        matrix = walk(values, stated["smooth"], None if by is None else between(np.log10(values), stated["smooth"]))
        if by is not None:
            matrix = matrix * (np.asarray(by)[:, None] == np.asarray(by)[None, :])
        found[f"discrepancy_scale_{name}"] = (stated["scale"], matrix)
    return found


def between(decades: np.ndarray, smooth: float) -> float:
    """Return the place at which walks of groups are zero: the middle, or that of the wider gap beside a row that lies there."""
    center, places = decades.mean(), np.unique(decades)
    k = int(np.abs(places - center).argmin())
    if abs(places[k] - center) > smooth:
        return float(center)
    gaps = [(places[j + 1] - places[j], j) for j in (k - 1, k) if 0 <= j < len(places) - 1]
    width, j = max(gaps, key=lambda gap: gap[0])
    return float(places[j] + width / 2)


def recipes(document: Document, table: pd.DataFrame) -> dict[str, tuple[Document, np.ndarray]]:
    """Return the scale and the covariance of what runs of one recipe share."""
    columns = [column for column in document["noise"]["recipe"]["by"] if column in table]
    label = table.groupby(columns, dropna=False).ngroup().to_numpy()
    return {"noise_scale_recipe": (document["noise"]["recipe"]["scale"], (label[:, None] == label).astype(float))}


def one_resource(column: str, coefficient: str, exponent: str) -> Callable[[pd.DataFrame, Document], None]:
    """Return the model of a power law of one resource, (x_c / x)^a (Kaplan et al. 2020, 1.1 to 1.3)."""

    def model(table: pd.DataFrame, document: Document) -> None:
        x, loss = table[column].to_numpy(float), table["loss"].to_numpy()
        (term,) = losses(document, middle(loss), **{coefficient: f"{coefficient}_at_reference"})
        (power,) = unknowns(document, exponent)
        student(jnp.log(term) - power * np.log(x / middle(x)), loss, document["likelihood"])

    return model


def with_offset(column: str, walked: str) -> Callable[[pd.DataFrame, Document], None]:
    """Return the model of a power law and an offset with a discrepancy, b x^-c + E."""

    def model(table: pd.DataFrame, document: Document) -> None:
        x, loss = table[column].to_numpy(float), table["loss"].to_numpy()
        term, E = two_losses(document, middle(loss), beta="beta_at_reference", E="E")
        (c,) = unknowns(document, "c")
        stated = document["discrepancy"][walked]
        covariances = {f"discrepancy_scale_{walked}": (stated["scale"], walk(x, stated["smooth"]))}
        gaussian(E + term * (x / middle(x)) ** -c, loss, document["likelihood"], covariances)

    return model


def saturating(table: pd.DataFrame, document: Document) -> None:
    """Alabdulmohsin et al. (2022), M4: u / (1 - u)^alpha falls as x^-c, u the share of the way from the limit to guessing."""
    x, loss = table["dataset_tokens"].to_numpy(float), table["loss"].to_numpy()
    odds = draw("beta_at_reference", document["parameters"]["beta"]["prior"])
    c, alpha = unknowns(document, "c", "alpha")

    def share(log_odds: Any) -> Any:
        t = log_odds
        for _ in range(30):  # Newton's method for the log odds of u
            t = t - (t + (alpha - 1) * jax.nn.softplus(t) - log_odds) / (1 + (alpha - 1) * jax.nn.sigmoid(t))
        return jax.nn.sigmoid(t)

    E, gap = two_losses(document, middle(loss), share(jnp.log(odds)), E="E", gap="gap")
    u = share(jnp.log(odds) - c * np.log(x / middle(x)))
    stated = document["discrepancy"]["D"]
    covariances = {"discrepancy_scale_D": (stated["scale"], walk(x, stated["smooth"]))}
    gaussian(E + gap * u, loss, document["likelihood"], covariances)


def kaplan_nd(table: pd.DataFrame, document: Document) -> None:
    """Kaplan et al. (2020), equation (1.5): ((N_c/N)^(a/d) + D_c/D)^d."""
    N, D, loss = (table[c].to_numpy(float) for c in ("params", "dataset_tokens", "loss"))
    of_size, of_data = losses(document, middle(loss), N_c="N_c_at_reference", D_c="D_c_at_reference")
    a, d = unknowns(document, "alpha_N", "alpha_D")
    inner = of_size ** (1 / d) * (N / middle(N)) ** (-a / d) + of_data ** (1 / d) * middle(D) / D
    student(d * jnp.log(inner), loss, document["likelihood"])


def additive(document: Document, unit: float) -> tuple[Any, ...]:
    """Draw the parameters of Hoffmann et al. (2022): E, terms and exponents."""
    terms = losses(document, unit, E="E", A="A_at_reference", B="B_at_reference")
    return (*terms, *unknowns(document, "alpha", "beta"))


def chinchilla(table: pd.DataFrame, document: Document) -> None:
    """Hoffmann et al. (2022), approach 3: E + A N^-alpha + B D^-beta."""
    N, D, loss = (table[c].to_numpy(float) for c in ("params", "tokens", "loss"))
    E, A, B, alpha, beta = additive(document, middle(loss))
    law = E + A * (N / middle(N)) ** -alpha + B * (D / middle(D)) ** -beta
    student(jnp.log(law), loss, document["likelihood"])


def repeated(*, excess: bool = False) -> Callable[[pd.DataFrame, Document], None]:
    """Return the model of Muennighoff et al. (2023): repeated tokens, and excess parameters, count for less and less."""

    def model(table: pd.DataFrame, document: Document) -> None:
        N, D, U, loss = (table[c].to_numpy(float) for c in ("params", "tokens", "dataset_tokens", "loss"))
        E, A, B, alpha, beta = additive(document, middle(loss))
        (R,) = unknowns(document, "R_D")
        seen = np.minimum(D, U)
        worth = seen + seen * R * (1 - jnp.exp(-(D / seen - 1) / R))
        size = N
        if excess:
            (R_N,) = unknowns(document, "R_N")
            # Where the marginal parameters and tokens are worth the same: alpha A n^-alpha = beta B u^-beta.
            log_fit = (jnp.log(alpha * A) - jnp.log(beta * B) + beta * np.log(seen / middle(D))) / alpha + np.log(middle(N))
            fit = jnp.minimum(jnp.exp(log_fit), N)
            size = fit + fit * R_N * (1 - jnp.exp(-(N / fit - 1) / R_N))
        law = E + A * (size / middle(N)) ** -alpha + B * (worth / middle(D)) ** -beta
        student(jnp.log(law), loss, document["likelihood"])

    return model


def repeated_penalty(table: pd.DataFrame, document: Document) -> None:
    """Lovelace et al. (2026): E + A N^-alpha + B D^-beta + P R^delta (N/U)^kappa."""
    N, D, U, loss = (table[c].to_numpy(float) for c in ("params", "tokens", "dataset_tokens", "loss"))
    E, A, B, alpha, beta = additive(document, middle(loss))
    (P,) = losses(document, middle(loss), P="P_at_reference")
    delta, kappa = unknowns(document, "delta", "kappa")
    seen = np.minimum(D, U)
    again = D / seen - 1
    harm = jnp.where(again > 0, jnp.where(again > 0, again, 1.0) ** delta, 0.0)
    law = E + A * (N / middle(N)) ** -alpha + B * (D / middle(D)) ** -beta
    student(jnp.log(law + P * harm * (N / seen / (middle(N) / middle(U))) ** kappa), loss, document["likelihood"])


def bridge(document: Document, unit: float, N: np.ndarray, D: np.ndarray) -> tuple[Any, Any]:
    """Return E and (A N^-a + B D^-b)^kappa, the terms at the reference drawn from their priors."""
    E, A, B = losses(document, unit, E="E", A="A_at_reference", B="B_at_reference")
    a, b, kappa = unknowns(document, "a", "b", "kappa")
    left = A ** (1 / kappa) * (N / middle(N)) ** -a + B ** (1 / kappa) * (D / middle(D)) ** -b
    return E, left**kappa


def kappa(table: pd.DataFrame, document: Document) -> None:
    """The bridge with an outer exponent, discrepancy along N, D and C, and noise of recipes."""
    N, D, loss = (table[c].to_numpy(float) for c in ("params", "tokens", "loss"))
    E, left = bridge(document, middle(loss), N, D)
    gaussian(E + left, loss, document["likelihood"], discrepancies(document, table) | recipes(document, table))


def ceiling(table: pd.DataFrame, document: Document) -> None:
    """The bridge below the loss of guessing: E + x / (1 + x / gap)."""
    N, D, loss = (table[c].to_numpy(float) for c in ("params", "tokens", "loss"))
    E, left = bridge(document, middle(loss), N, D)
    (gap,) = losses(document, middle(loss), gap="gap")
    covariances = discrepancies(document, table) | recipes(document, table)
    gaussian(E + 1 / (1 / left + 1 / gap), loss, document["likelihood"], covariances)


def farseer(table: pd.DataFrame, document: Document) -> None:
    """Li et al. (2025): exp(-s N^q) and the exponent of D, beta exp(-r N^a), fall with N; slopes are those at the reference."""
    N, D, loss = (table[c].to_numpy(float) for c in ("params", "tokens", "loss"))
    E, B = losses(document, middle(loss), E="E_at_reference", B="B_at_reference")
    of_s, of_t, of_beta, of_r = (
        draw(f"{n}_at_reference", document["parameters"][n]["prior"]) for n in ("s", "t", "beta", "r")
    )
    q, b, a = unknowns(document, "q", "b", "a")
    n = N / middle(N)
    limit = E * jnp.exp(-of_s / q * (n**q - 1))
    exponent = of_beta * jnp.exp(-of_r / a * (n**a - 1))
    log_data = jnp.log(B) + of_t / b * (n**-b - 1) + of_beta * np.log(middle(D)) - exponent * np.log(D)
    covariances = discrepancies(document, table) | recipes(document, table)
    gaussian(limit + jnp.exp(log_data), loss, document["likelihood"], covariances)


def mixture(table: pd.DataFrame, document: Document) -> None:
    """Ludziejewski et al. (2025), equation (6): both terms and both exponents change with the logarithm of the effective experts.

    At the reference of N or D a factor e of experts changes a term by a factor, which the priors of delta and omega are of. Of
    experts, equations (9) and (10) without embeddings, each but the first adds 9/13 of the dense model.
    """
    N, total, D, loss = (table[c].to_numpy(float) for c in ("params", "params_total", "tokens", "loss"))
    E, A, B = losses(document, middle(loss), E="E", A="A_at_reference", B="B_at_reference")
    alpha, gamma, beta, zeta = unknowns(document, "alpha", "gamma", "beta", "zeta")
    of_size, of_data = (draw(f"{n}_at_reference", document["parameters"][n]["prior"]) for n in ("delta", "omega"))
    start, most = 2.0732, 290.4521

    def log_experts(N: Any, total: Any) -> Any:
        more = (total / N - 1) * 13 / 9
        return -np.log(1 / (more + 1 / (1 / start - 1 / most)) + 1 / most)

    x, there = log_experts(N, total), log_experts(middle(N), middle(total))
    log_size = (x - there) * jnp.log(of_size) - (alpha - gamma * x) * np.log(N / middle(N))
    log_data = (x - there) * jnp.log(of_data) - (beta + zeta * x) * np.log(D / middle(D))
    student(jnp.log(E + A * jnp.exp(log_size) + B * jnp.exp(log_data)), loss, document["likelihood"])


def members(document: Document, name: str, groups: int, unit: float = 1.0) -> Any:
    """Draw a parameter of every group: the population's times the exponential of a Normal."""
    stated = document["parameters"][name]
    center = numpyro.deterministic(f"{name}_population", unit * draw(f"{name}_multiple", stated["prior"]))
    spread = draw(f"{name}_spread_group", stated["spread"])
    z = numpyro.sample(f"{name}_z", dist.Normal(0, 1).expand([groups]))
    return center * jnp.exp(spread * z)


def grouped(*, outer: bool, forecasts: bool = False) -> Callable[[pd.DataFrame, Document], None]:
    """Return the law pooled over groups, in the additive form or with an outer exponent for all groups."""

    def model(table: pd.DataFrame, document: Document) -> None:
        N, D, loss = (table[c].to_numpy(float) for c in ("params", "tokens", "loss"))
        labels, of_row = np.unique(table["group"].to_numpy(str), return_inverse=True)
        unit, count = middle(loss), len(labels)
        E, A, B = (members(document, name, count, unit) for name in ("E", "A", "B"))
        size, data = ("a", "b") if outer else ("alpha", "beta")
        of_size, of_data = (members(document, name, count) for name in (size, data))
        kappa = unknowns(document, "kappa")[0] if outer else 1.0
        n, d = N / middle(N), D / middle(D)
        left = A[of_row] ** (1 / kappa) * n ** -of_size[of_row] + B[of_row] ** (1 / kappa) * d ** -of_data[of_row]
        law = E[of_row] + left**kappa
        for name, value in (("E", E), ("A_at_reference", A), ("B_at_reference", B), (size, of_size), (data, of_data)):
            for place, label in enumerate(labels):
                numpyro.deterministic(f"{name}[{label}]", value[place])
        if forecasts:
            gaussian(law, loss, document["likelihood"], discrepancies(document, table, by=table["group"].to_numpy(str)))
        else:
            student(jnp.log(law), loss, document["likelihood"])

    return model


def shape(table: pd.DataFrame, document: Document) -> None:
    """A power of N, and parabolas in the logarithms of the aspect ratio and of the width of heads."""
    N, aspect, head, loss = (table[c].to_numpy(float) for c in ("params", "aspect", "head_width", "loss"))
    size = table["size"].to_numpy()
    places, of_row = np.unique(size, return_inverse=True)
    stated = document["parameters"]
    (term,) = losses(document, middle(loss), N_c="N_c_at_reference")
    (alpha,) = unknowns(document, "alpha_N")

    def varying(name: str, label: str) -> Any:
        center, spread = draw(label, stated[name]["prior"]), draw(f"{name}_spread_size", stated[name]["spread"])
        return center * jnp.exp(spread * numpyro.sample(f"{name}_z", dist.Normal(0, 1).expand([len(places)])))

    best, cost = varying("aspect_best", "aspect_best_multiple"), varying("aspect_cost", "aspect_cost_population")
    head_best, head_cost = (
        draw("head_best_multiple", stated["head_best"]["prior"]),
        draw("head_cost", stated["head_cost"]["prior"]),
    )
    numpyro.deterministic("head_best", head_best * document["reference"]["head_width"])
    off = cost[of_row] * jnp.log(aspect / document["reference"]["aspect"] / best[of_row]) ** 2
    off = off + head_cost * jnp.log(head / document["reference"]["head_width"] / head_best) ** 2
    likelihood = document["observations"][0]["likelihood"]
    student(jnp.log(term) - alpha * np.log(N / middle(N)) + off, loss, likelihood)


def measured_at(name: str, mean: Any, measured: Any, likelihood: Document, error: Any = 0.0) -> None:
    """Measure one observation of a system with Student-t residuals, and errors of its own."""
    sigma = draw(f"sigma_{name}", likelihood["sigma"])
    scale = jnp.sqrt(sigma**2 + np.asarray(error) ** 2)
    numpyro.sample(f"y_{name}", dist.StudentT(likelihood["nu"], mean, scale), obs=np.log(measured))


def named(document: Document, name: str) -> Document:
    """Return one observation of a system."""
    return next(each for each in document["observations"] if each["name"] == name)


def critical_batch(_: None, document: Document) -> None:
    """McCandlish et al. (2018): steps to a loss S (1 + B_crit / B), the gradient noise scale a multiple of B_crit = B* L^(-1/a)."""
    where = "series == 'batch' and schedule == 'constant' and steps >= 64"
    scans, noise = tables.steps_to_loss(where), tables.noise_scales(where)
    L0 = middle(np.concatenate([scans["loss"], noise["loss"]]))
    B0 = middle(np.concatenate([scans["batch_tokens"], noise["batch_tokens"]]))
    stated = document["parameters"]
    there = numpyro.deterministic("B_star_at_reference", B0 * draw("B_star_multiple", stated["B_star"]["prior"]))
    alpha, ratio = unknowns(document, "alpha_B", "noise_ratio")

    def critical(loss: Any) -> Any:
        return there * (np.asarray(loss) / L0) ** (-1 / alpha)

    spread, center = (
        draw("S_least_spread_scan", stated["S_least"]["spread"]),
        draw("S_least_center", stated["S_least"]["prior"]),
    )
    least = center * jnp.exp(spread * numpyro.sample("z", dist.Normal(0, 1).expand([scans["scan"].nunique()])))
    number = np.unique(scans["scan"], return_inverse=True)[1]
    steps = least[number] * (1 + critical(scans["loss"]) / scans["batch_tokens"].to_numpy())
    measured_at("scans", jnp.log(steps), scans["steps"].to_numpy(), named(document, "scans")["likelihood"])
    of_noise = jnp.log(ratio * critical(noise["loss"]))
    likelihood = named(document, "noise")["likelihood"]
    measured_at("noise", of_noise, noise["noise_tokens"].to_numpy(), likelihood, noise["relative_error"])


def critical_batch_of_data(_: None, document: Document) -> None:
    """Zhang et al. (2024) in the place of B_crit(L): B_crit = B_1 D^gamma, of the least data with which a loss is reached.

    These are B_crit S of S least steps, and D / (1 + B / B_crit) after D tokens in batches of B.
    """
    where = "series == 'batch' and schedule == 'constant' and steps >= 64"
    scans, noise = tables.steps_to_loss(where), tables.noise_scales(where)
    D0, B0 = middle(noise["tokens"]), middle(np.concatenate([scans["batch_tokens"], noise["batch_tokens"]]))
    stated = document["parameters"]
    there = numpyro.deterministic("B_one_at_reference", B0 * draw("B_one_multiple", stated["B_one"]["prior"]))
    gamma, ratio = unknowns(document, "gamma_B", "noise_ratio")
    spread, center = (
        draw("S_least_spread_scan", stated["S_least"]["spread"]),
        draw("S_least_center", stated["S_least"]["prior"]),
    )
    least = center * jnp.exp(spread * numpyro.sample("z", dist.Normal(0, 1).expand([scans["scan"].nunique()])))
    number = np.unique(scans["scan"], return_inverse=True)[1]
    critical = jnp.exp((jnp.log(there) + gamma * jnp.log(least / D0)) / (1 - gamma))
    steps = least[number] * (1 + critical[number] / scans["batch_tokens"].to_numpy())
    measured_at("scans", jnp.log(steps), scans["steps"].to_numpy(), named(document, "scans")["likelihood"])
    batch = noise["batch_tokens"].to_numpy()
    most = jnp.log(there) + gamma * np.log(noise["tokens"].to_numpy() / D0)
    x = most
    for _ in range(30):  # Newton's method for the logarithm x of B_crit
        seen = batch * jnp.exp(-x)
        x = x - (x - most + gamma * jnp.log1p(seen)) / (1 - gamma * seen / (1 + seen))
    likelihood = named(document, "noise")["likelihood"]
    measured_at("noise", jnp.log(ratio) + x, noise["noise_tokens"].to_numpy(), likelihood, noise["relative_error"])


def steps_of_batches(table: pd.DataFrame, document: Document) -> None:
    """Kaplan et al. (2020), equations (5.1) and (5.3): steps S (1 + B_crit(L) / B), the prior on those at the reference batch and loss."""
    loss, batch, steps = (table[c].to_numpy(float) for c in ("loss", "batch_tokens", "steps"))
    stated, B0 = document["parameters"], middle(batch)
    there = numpyro.deterministic("B_star_at_reference", B0 * draw("B_star_multiple", stated["B_star"]["prior"]))
    (alpha,) = unknowns(document, "alpha_B")
    spread = draw("S_least_spread_scan", stated["S_least"]["spread"])
    center = numpyro.deterministic("S_least_population", middle(steps) * draw("S_multiple", stated["S_least"]["prior"]))
    z = numpyro.sample("z", dist.Normal(0, 1).expand([table["scan"].nunique()]))
    least = center * jnp.exp(spread * z) / (1 + there / B0)
    critical = there * (loss / middle(loss)) ** (-1 / alpha)
    mean = jnp.log(least[np.unique(table["scan"], return_inverse=True)[1]] * (1 + critical / batch))
    numpyro.sample("y", dist.Normal(mean, draw("sigma", document["likelihood"]["sigma"])), obs=np.log(steps))


def best_rate(table: pd.DataFrame, document: Document) -> None:
    """Li et al. (2025): tokens wasted around a best rate and batch, powers of N and D off which each cell lies some way, and so its level.

    Normal residuals of one cell share the level, which is integrated out: of n rows their sum has the variance n (sigma^2 + n level^2).
    """
    N, D, lr, B, loss = (table[c].to_numpy(float) for c in ("params", "tokens", "lr", "batch_tokens", "loss"))
    cell = (table["cell"].to_numpy()[:, None] == np.unique(table["cell"])).astype(float)
    rows, stated = cell.sum(axis=0), document["parameters"]
    n, d = np.log(N / middle(N)), np.log(D / middle(D))
    E, of_size, of_data = losses(document, middle(loss), E="E", A_N="A_N_at_reference", A_D="A_D_at_reference")
    alpha_N, alpha_D, lr_N, lr_D, lr_B, rate_cost, batch_N, batch_D, batch_cost = unknowns(
        document, "alpha_N", "alpha_D", "lr_N", "lr_D", "lr_B", "rate_cost", "batch_N", "batch_D", "batch_cost"
    )

    def off(name: str, values: np.ndarray, power: Any) -> Any:
        center = draw(f"{name}_multiple", stated[name]["prior"])
        numpyro.deterministic(f"{name}_population", center * middle(values))
        spread = draw(f"{name}_spread_cell", stated[name]["spread"])
        own = spread * numpyro.sample(f"{name}_z", dist.Normal(0, 1).expand([len(rows)]))
        return np.log(values / middle(values)) - jnp.log(center) - power - cell @ own

    off_batch = off("B_one", B, batch_D * d - batch_N * n)
    off_rate = off("lr_one", lr, lr_D * d - lr_N * n) - lr_B * off_batch
    wasted = rate_cost * off_rate**2 + batch_cost * off_batch**2
    law = E + of_size * jnp.exp(-alpha_N * n) + of_data * jnp.exp(-alpha_D * (d - wasted))
    sigma, level = (
        draw("sigma", document["likelihood"]["sigma"]),
        draw("noise_scale_cell", document["noise"]["cell"]["scale"]),
    )
    residual = np.log(loss) - jnp.log(law)
    whole = sigma**2 + rows * level**2
    squares = (residual**2).sum() - (level**2 / whole * (residual @ cell) ** 2).sum()
    numpyro.factor("y", -squares / sigma**2 / 2 - (len(loss) - len(rows)) * jnp.log(sigma) - jnp.log(whole).sum() / 2)


def curve(converged: Any, of_steps: Any, ratio: Any, L0: float, alpha_S: Any, alpha_B: Any) -> Any:
    """Return the loss L = converged + of_steps (1 + ratio (L / L0)^(-1/alpha_B))^alpha_S, by halves and then by Newton's method.

    From afar Newton's method may not converge, where alpha_S is large and alpha_B small. The steps to the root have no
    derivative; one more at the root has that of the root.
    """

    def off(x: Any, converged: Any, of_steps: Any, ratio: Any, alpha_S: Any, alpha_B: Any) -> tuple[Any, Any]:
        loss = converged + jnp.exp(x)
        batch = ratio * (loss / L0) ** (-1 / alpha_B)
        slope = 1 + alpha_S / alpha_B * batch / (1 + batch) * jnp.exp(x) / loss
        return jnp.log(of_steps) + alpha_S * jnp.log1p(batch) - x, slope

    def step(x: Any, *given: Any) -> Any:
        distance, slope = off(x, *given)
        return x + distance / slope

    given = (converged, of_steps, ratio, alpha_S, alpha_B)
    fixed = jax.lax.stop_gradient(given)
    low, begin, of_batches, power, bent = fixed
    x = jnp.log(begin)
    width = power * jnp.log1p(of_batches * (low / L0) ** (-1 / bent))  # the root lies between x and x + width
    for _ in range(20):
        width = width / 2
        x = jnp.where(off(x + width, *fixed)[0] > 0, x + width, x)
    for _ in range(3):
        x = step(x, *fixed)
    # The slope within one step counts as a constant there: its derivative is multiplied by nothing at the root.
    return converged + jnp.exp(step(jax.lax.stop_gradient(x), *given))


def wandering(document: Document, name: str, table: pd.DataFrame) -> Any:
    """Draw the scale of the discrepancy of one observation along size, and return what Normals of unit scale add to its rows.

    Columns are those of a root of the covariance over sizes, as many as there are sizes.
    """
    stated = named(document, name)["discrepancy"]["N"]
    values, vectors = np.linalg.eigh(walk(table["params"], stated["smooth"]))
    kept = values > 1e-9 * values.max()
    return draw(f"discrepancy_scale_N_{name}", stated["scale"]) * vectors[:, kept] * np.sqrt(values[kept])


def kaplan_system(*, offset: bool = False, forecasts: bool = False) -> Callable[[None, Document], None]:
    """Return the laws of Kaplan et al. (2020) together: (1.5), (1.6) with (5.3) and (5.4), and the gradient noise.

    To forecast, laws of losses have a discrepancy along size, with Normal residuals, so that it is integrated out.
    """

    def measured_loss(name: str, table: pd.DataFrame, mean: Any, document: Document) -> None:
        likelihood = named(document, name)["likelihood"]
        if not forecasts:
            measured_at(name, mean, table["loss"].to_numpy(), likelihood)
            return
        own = jnp.full(len(table), draw(f"sigma_{name}", likelihood["sigma"]) ** 2)
        around = dist.LowRankMultivariateNormal(mean, wandering(document, name, table), own)
        numpyro.sample(f"y_{name}", around, obs=np.log(table["loss"].to_numpy()))

    def model(_: None, document: Document) -> None:
        constant = tables.constant_curves().sort_values(["run_id", "steps"])
        stopped, decayed = tables.stopped(), tables.decayed()
        noise = tables.noise_scales("schedule == 'constant' and series in ['batch', 'schedule'] and steps >= 128")
        of_loss = [constant, stopped, decayed]
        L0 = middle(np.concatenate([table["loss"] for table in (*of_loss, noise)]))
        N0 = middle(np.concatenate([table["params"] for table in (*of_loss, noise)]))
        B0 = middle(np.concatenate([table["batch_tokens"] for table in (*of_loss, noise)]))
        # The document's D is the data set of limited runs, and what the others have seen.
        seen = [table["tokens"] for table in (constant, decayed, noise)]
        D0, S0 = middle(np.concatenate([stopped["dataset_tokens"], *seen])), document["reference"]["S_min"]
        stated = document["parameters"]
        spread = draw("N_c_spread_observation", stated["N_c"]["spread"])
        factor = jnp.exp(spread * numpyro.sample("z", dist.Normal(0, 1).expand([3])))
        (of_steps,) = losses(document, L0, S_c="S_c_at_reference")
        if forecasts:
            # Rows know E and the middle of what size leaves in them together, and what data leave by that: determinants of one.
            share = jnp.exp(jnp.log(factor).mean())
            E, of_size = two_losses(document, L0, share, E="E", N_c="N_c_at_reference")
            log_ratio = numpyro.sample("log_data_multiple", dist.ImproperUniform(dist.constraints.real, (), ()))
            of_data = numpyro.deterministic("D_c_at_reference", of_size * share * jnp.exp(log_ratio))
            prior = stated["D_c"]["prior"]
            numpyro.factor("D_c_prior", dist.Normal(prior["mu"], prior["sigma"]).log_prob(jnp.log(of_data / L0)))
        else:
            of_data, of_size = losses(document, L0, D_c="D_c_at_reference", N_c="N_c_at_reference")
            E = losses(document, L0, E="E")[0] if offset else 0.0
        a, d, s, alpha_B, ratio = unknowns(document, "alpha_N", "alpha_D", "alpha_S", "alpha_B", "noise_ratio")
        critical = numpyro.deterministic("B_star_at_reference", B0 * draw("B_star_multiple", stated["B_star"]["prior"]))

        def size(place: int, table: pd.DataFrame) -> Any:
            return of_size * factor[place] * (table["params"].to_numpy() / N0) ** -a

        def along(place: int, table: pd.DataFrame) -> Any:
            left = of_steps * (table["steps"].to_numpy() / S0) ** -s
            return curve(E + size(place, table), left, critical / table["batch_tokens"].to_numpy(), L0, s, alpha_B)

        of_curves = named(document, "curves")
        sigma = draw("sigma_curves", of_curves["likelihood"]["sigma"])
        length = draw("length_curves", of_curves["correlation"]["length"])
        residual = np.log(constant["loss"].to_numpy()) - jnp.log(along(0, constant))
        follows = constant["run_id"].eq(constant["run_id"].shift()).to_numpy()
        gap = np.diff(np.log(constant["steps"].to_numpy()), prepend=0.0)
        rho = jnp.where(follows, jnp.exp(-jnp.where(follows, gap, 1.0) / length), 0.0)
        new = sigma * jnp.sqrt(1 - rho**2)  # what a point has to itself, beside a share of what the one before it has
        whitened = (residual - rho * jnp.concatenate([jnp.zeros(1), residual[:-1]])) / new
        if forecasts:
            shared = wandering(document, "curves", constant)
            shared = (shared - rho[:, None] * jnp.concatenate([jnp.zeros((1, shared.shape[1])), shared[:-1]])) / new[:, None]
            around = dist.LowRankMultivariateNormal(jnp.zeros(len(constant)), shared, jnp.ones(len(constant)))
            left = around.log_prob(whitened)
        else:
            left = dist.Normal().log_prob(whitened).sum()
        numpyro.factor("y_curves", left - jnp.log(new).sum())

        inner = size(1, stopped) ** (1 / d) + of_data ** (1 / d) * D0 / stopped["dataset_tokens"].to_numpy()
        measured_loss("limited", stopped, jnp.log(E + inner**d), document)
        measured_loss("decayed", decayed, jnp.log(along(2, decayed)), document)
        mean = jnp.log(ratio * critical) - jnp.log(noise["loss"].to_numpy() / L0) / alpha_B
        likelihood = named(document, "noise")["likelihood"]
        measured_at("noise", mean, noise["noise_tokens"].to_numpy(), likelihood, noise["relative_error"])

    return model


MODELS: dict[str, tuple[Callable[[Any, Document], None], Callable[[], pd.DataFrame | None]]] = {
    "kaplan_n": (one_resource("params", "N_c", "alpha_N"), tables.of_size),
    "kaplan_d": (one_resource("dataset_tokens", "D_c", "alpha_D"), tables.of_data),
    "kaplan_c": (one_resource("compute_flops", "C_c", "alpha_C"), tables.of_compute),
    "kaplan_nd": (kaplan_nd, tables.limited),
    "chinchilla": (chinchilla, tables.ends_of_a_cosine),
    "offset_n": (with_offset("params", "N"), tables.of_size),
    "offset_d": (with_offset("dataset_tokens", "D"), tables.of_data),
    "saturating_d": (saturating, tables.of_data),
    "offset_c": (with_offset("compute_flops", "C"), tables.of_compute),
    "repeated": (repeated(), tables.seen_again),
    "repeated_excess": (repeated(excess=True), tables.seen_again),
    "repeated_penalty": (repeated_penalty, tables.seen_again),
    "kappa": (kappa, tables.ends_of_a_cosine),
    "ceiling": (ceiling, tables.ends_of_a_cosine),
    "farseer": (farseer, tables.ends_of_a_cosine),
    "moe": (mixture, tables.mixtures),
    "best_rate": (best_rate, tables.near_best),
    "shape": (shape, tables.shapes),
    "critical_batch": (critical_batch, lambda: None),
    "critical_batch_of_data": (critical_batch_of_data, lambda: None),
    "steps_to_loss": (steps_of_batches, tables.scans_of_batches),
    "chinchilla_by_group": (grouped(outer=False), tables.of_schedules),
    "kappa_by_group": (grouped(outer=True), tables.of_schedules),
    "kappa_by_group_forecast": (grouped(outer=True, forecasts=True), tables.of_schedules),
    "kaplan_system": (kaplan_system(), lambda: None),
    "kaplan_system_offset": (kaplan_system(offset=True), lambda: None),
    "kaplan_system_forecast": (kaplan_system(offset=True, forecasts=True), lambda: None),
}
"""Every document that has a reference posterior: its model, and its rows."""
