"""A fit: posterior, model and provenance, in one netCDF file that is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd
import xarray as xr
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from bayes_scaling.errors import DamagedFit, InvalidFit, MissingFit, OutOfRange, WrongPosterior, first_fault
from bayes_scaling.model import names
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import OBSERVATION, Model, Observation, model_from_json, read_model
from bayes_scaling.model.effects import Path as Added
from bayes_scaling.model.grouping import Groups, label_of, member
from bayes_scaling.model.layout import Layout, Rows
from bayes_scaling.model.other_columns import other_columns
from bayes_scaling.model.prior_draws import can_be_drawn_again, prior_of, stored_parameters
from bayes_scaling.model.tables import tables_of
from bayes_scaling.posterior.fit_file import Contents, read_fit, write_fit
from bayes_scaling.posterior.methods import FitMethods
from bayes_scaling.posterior.sound import (
    refuse_lacking_groups,
    refuse_lacking_rows,
    refuse_other_reference,
    refuse_unsound,
)
from bayes_scaling.runs.card import Card, checked_card
from bayes_scaling.runs.table import RunTable

_SLASH: Final = "\N{DIVISION SLASH}"
"""In place of the slash in the name of a column, which a netCDF file does not take."""
_EXTRAS: Final = (
    *("run_id", "series", "params", "params_total", "tokens", "dataset_tokens", "steps", "batch_tokens"),
    *("compute_flops", "loss", "tokens_per_second"),
)
"""Columns that a fit keeps of its rows beside those its model needs."""

_KEPT: Final = 8
"""Groups and seeds whose discrepancy is kept."""

_Checks = tuple[Mapping[str, Any], ...]
Kind = Literal["observation", "fit", "mixture"]
"""A fit of one law, or a view of one observation; a whole fit, of one law or several; a mixture of fits."""


@dataclass(frozen=True, eq=False)
class Fit(FitMethods):
    """A posterior, the model it answers for, and where it came from.

    Parameters
    ----------
    tree : DataTree
        Groups ``posterior`` and ``prior``, dims ``(chain, draw, *groupings)``; ``sample_stats``, dims (chain, draw);
        ``observations/NAME``, dims (run), the rows of each observation. ArviZ takes it as it is.
    model : Model
        The model document, without parts that the rows cannot tell apart.
    reference : mapping
        The point at which the priors are stated, a number for each quantity.
    facts : mapping
        Provenance: name and digest of the runs, loss unit, what params counts, seed, draws, tune, chains,
        versions, time.
    checks : tuple of mapping
        The checks as they came out when the fit was made: see :func:`~bayes_scaling.check`.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> fit = example_fit()
    >>> fit.model.law, dict(fit.posterior.sizes)
    ('chinchilla', {'chain': 4, 'draw': 100})
    >>> round(float(fit.posterior["alpha"].median()), 2)
    0.35
    """

    tree: xr.DataTree
    model: Model
    reference: Mapping[str, float]
    facts: Mapping[str, Any]
    checks: _Checks = ()

    @classmethod
    def of(cls, layout: Layout, groups: Mapping[str, xr.Dataset], facts: Mapping[str, Any], checks: _Checks = ()) -> Self:
        """Return the fit of draws on a layout: ``posterior``, ``prior`` and ``sample_stats`` by name."""
        rows = {f"observations/{name}": kept_rows(of_it) for name, of_it in layout.rows.items()}
        tree = xr.DataTree.from_dict({**groups, **rows})
        return cls(tree, layout.model, dict(layout.reference), facts, checks).with_layout(layout)

    @classmethod
    def from_draws(
        cls,
        draws: xr.DataTree | xr.Dataset,
        model: str | Path | Model,
        runs: RunTable | pd.DataFrame | str | Path | Mapping[str, pd.DataFrame],
        facts: Mapping[str, Any] | None = None,
        *,
        prior: xr.Dataset | None = None,
    ) -> Self:
        """Return the fit of draws that somebody sampled by themselves, from :func:`~bayes_scaling.build_model`, say.

        The model may have been extended, by a potential or a variable that follows from others. Effects that it integrates out
        are drawn given the rest. Variables that are not the document's stay in the tree they came in.

        Parameters
        ----------
        draws : DataTree or Dataset
            The posterior, dims (chain, draw, ...), or a tree with a group ``posterior`` (and ``sample_stats``).
        model : str, path or Model
            The model, as for :func:`~bayes_scaling.build_model`.
        runs : RunTable, DataFrame, path, str, or mapping of str to DataFrame
            The measured runs, as for :func:`~bayes_scaling.build_model`; of a DataFrame every row as it stands; or the rows of each
            observation by its name.
        facts : mapping, optional
            Provenance.
        prior : Dataset, optional
            Draws from the prior; drawn anew by default.

        Raises
        ------
        InvalidFit
            If the draws lack an unknown of the model.
        """
        model = read_model(model)
        if isinstance(runs, pd.DataFrame):
            runs = {model.only.name: runs}
        layout = Layout.of(model, runs if isinstance(runs, Mapping) else tables_of(model, runs))
        tree = draws if isinstance(draws, xr.DataTree) else xr.DataTree.from_dict({"posterior": draws})
        posterior = tree["posterior"].to_dataset()
        prior = prior_of(layout, int((facts or {}).get("seed", 0))) if prior is None else prior
        effects = {names.of_observation(effect.effect_name, suffix) for suffix, rows in layout for effect in rows.effects}
        if not effects <= {*posterior}:
            posterior = posterior.assign(LogDensity(layout).draw_effects(posterior, np.random.default_rng(0)))
        if missing := [str(name) for name in prior if name not in posterior]:
            raise InvalidFit(f"The draws lack {', '.join(missing)}: sample the model that build_model gives.")
        sizes = [posterior.sizes[dim] for dim in names.SAMPLE_DIMS]
        statistics = xr.Dataset({"diverging": (names.SAMPLE_DIMS, np.zeros(sizes, bool))})
        if "sample_stats" in tree:
            given = tree["sample_stats"].to_dataset()
            numbers = [name for name, a in given.items() if a.dims == names.SAMPLE_DIMS and a.dtype.kind in "fiub"]
            statistics = statistics.assign(given[numbers].data_vars)
        groups = {"posterior": posterior[[str(name) for name in prior]], "prior": prior, "sample_stats": statistics}
        defaults = {"runs": "runs", "loss_unit": "nats/token", "params": "non-embedding", "seed": 0, "versions": {}}
        return cls.of(layout, groups, {**defaults, **(facts or {})})

    @cached_property
    def layout(self) -> Layout:
        """All that follows from the model and its rows."""
        layout = Layout.of(self.model, {o.name: self.rows(o.name) for o in self.model.observations})
        refuse_other_reference(self.reference, layout.reference)
        return replace(layout, reference=self.reference).with_outliers(self.outliers)

    @property
    def seed(self) -> int:
        """The seed it was sampled with."""
        return int(self.facts.get("seed", 0))

    @property
    def outliers(self) -> dict[str, list[int]]:
        """Numbers of the rows that may have gone wrong, by observation."""
        stated = self.facts.get("outliers", {})
        return {name: [int(row) for row in rows] for name, rows in stated.items() if name in self.tree["observations"]}

    @property
    def posterior(self) -> xr.Dataset:
        """The posterior draws, dims ``(chain, draw, *groupings)``."""
        return self.tree["posterior"].to_dataset()

    @cached_property
    def draws(self) -> xr.Dataset:
        """The posterior draws without coordinates of chain and draw, to calculate with: nothing need be aligned."""
        return self.posterior.drop_vars(names.SAMPLE_DIMS, errors="ignore")

    @property
    def prior(self) -> xr.Dataset:
        """Draws from the prior, with the posterior's variables."""
        return self.tree["prior"].to_dataset()

    def discrepancy_paths(self, group: Mapping[str, str], seed: int) -> tuple[Added, ...]:
        """Return what each discrepancy of the one observation adds in a group, as functions of the inputs.

        Those of the last few groups and seeds are kept: every answer begins with them.
        """
        key = (tuple(sorted(group.items())), seed)
        if key not in self._paths:
            if len(self._paths) == _KEPT:
                self._paths.pop(next(iter(self._paths)))
            self._paths[key] = tuple(effect.path(self.draws, group, seed) for effect in self.layout.only.discrepancy)
        return self._paths[key]

    @cached_property
    def _paths(self) -> dict[tuple[Any, ...], tuple[Added, ...]]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Travel without what is worked out anew."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_paths", "draws")}

    def rows(self, name: str) -> pd.DataFrame:
        """Return the rows of one observation: the columns its law uses, and what was measured."""
        stored = self.tree[f"observations/{self.model.observation(name).name}"]
        table = stored.to_dataset().to_dataframe().reset_index(drop=True)
        return table.rename(columns=lambda column: str(column).replace(_SLASH, "/"))

    @cached_property
    def table(self) -> pd.DataFrame:
        """The rows of the one observation."""
        return self.rows(self.model.only.name)

    @property
    def runs(self) -> RunTable:
        """The runs the fit has seen: what its one observation uses of them, with what the numbers mean."""
        origin = tuple(self.facts.get("origin") or ())
        return RunTable(self.table, str(self.facts["runs"]), self.card, origin=origin)

    @property
    def card(self) -> Card:
        """What the numbers of the rows mean, as far as the fit states it."""
        params, citation = (
            str(self.facts.get(name, usual)) for name, usual in (("params", "non-embedding"), ("citation", ""))
        )
        return Card(loss_unit=self.loss_unit, params=params, citation=citation)

    @property
    def groups(self) -> Groups:
        """The groups of the rows of the one observation."""
        return self.layout.only.groups

    @cached_property
    def views(self) -> dict[str, Fit]:
        """Every observation as a fit of its own, by name."""
        return {observation.name: self.view(observation.name) for observation in self.model.observations}

    def view(self, name: str) -> Fit:
        """Return one observation as a fit of its law: its parameters, its noise, its rows.

        Parameters
        ----------
        name : str
            Name of an observation.

        Raises
        ------
        UnknownName
            If there is no such observation.
        """
        observation = self.model.observation(name)
        if self.model.is_one:
            return self
        alone = _alone(self.layout, observation)
        groups = {
            "posterior": observation_draws(self.layout, name, self.posterior, alone),
            "prior": observation_draws(self.layout, name, self.prior, alone),
            "sample_stats": self.tree["sample_stats"].to_dataset(),
        }
        return Fit.of(alone, groups, self.facts, self.checks)

    def with_layout(self, layout: Layout) -> Self:
        """Keep a layout that was made already."""
        self.__dict__["layout"] = layout
        return self

    def for_loss(self, name: str | None = None) -> Fit:
        """Return the observation of a loss that a question is asked of; of several observations one has to be named."""
        names_of = [observation.name for observation in self.model.observations]
        if name is None and not self.model.is_one:
            raise WrongPosterior(f"The model has several observations: name one with observation, of {', '.join(names_of)}.")
        if name is not None and self.model.is_one and name != names_of[0]:
            raise WrongPosterior(f"The model has one observation, {names_of[0]}: leave the observation {name} out.")
        observation = self.model.observation(name or names_of[0])
        if observation.output != "loss":
            raise WrongPosterior(
                f"{observation.name} measures {observation.output}, not a loss: use derive to ask for its law."
            )
        return self.view(observation.name)

    @property
    def pinned(self) -> list[str]:
        """What is fixed, or was pinned, and where the runs alone put it, a sentence each."""
        pins = dict(self.facts.get("pins") or {})
        found = {name: str(pins.get(name, {}).get("pin", f"{value:g}")) for name, value in self.model.fixed.items()}
        lines = {name: f"{name} = {value} is fixed: no interval includes its uncertainty." for name, value in found.items()}
        kinds = self.model.kinds
        lines |= {
            name: f"{name} was pinned to {pin['pin']}." for name, pin in pins.items() if name in kinds and name not in found
        }
        for name in lines.keys() & pins.keys():
            if "quantile" in (pin := pins[name]):
                lines[name] += (
                    f" The runs alone put it at {pin['median']:.4g} (90 % interval {pin['lower']:.4g} to {pin['upper']:.4g}): "
                    f"{pin['pin'].partition(' ')[0]} lies {_at_quantile(pin['quantile'])} of that."
                )
        return list(lines.values())

    def with_facts(self, **facts: Any) -> Self:
        """Return the fit with further facts on how it was made; empty ones are left out."""
        added = {name: value for name, value in facts.items() if value}
        return replace(self, facts={**self.facts, **added}).with_layout(self.layout) if added else self

    @property
    def model_digest(self) -> str:
        """SHA-256 of the model."""
        return self.model.digest

    @property
    def parts(self) -> dict[str, Fit]:
        """The fit itself: what a mixture has several of."""
        return {"": self}

    @property
    def weights(self) -> dict[str, float]:
        """Nothing: a single fit is no mixture."""
        return {}

    @property
    def sentence(self) -> str:
        """Nothing: a single fit is no mixture."""
        return ""

    def as_kind(self, kinds: Collection[Kind], question: str) -> Fit:
        """Return the fit as a question takes it, whole, or its one observation of a loss; or refuse the question."""
        if "fit" in kinds:
            return self
        if "observation" in kinds:
            return self.for_loss()
        raise WrongPosterior(f"{question} needs a mixture of laws: give the folder that `bayes-scaling weigh` wrote.")

    @property
    def loss_unit(self) -> str:
        """Unit of every loss in and out of the fit."""
        return str(self.facts["loss_unit"])

    @property
    def failed_checks(self) -> list[Mapping[str, Any]]:
        """The convergence checks that failed when the fit was made."""
        return [check for check in self.checks if not check["passed"] and check["about"] == "convergence"]

    @property
    def converged(self) -> bool:
        """Whether every convergence check passed."""
        return not self.failed_checks

    @property
    def verdict(self) -> str:
        """A sentence on whether the posterior has converged. It comes before anything else that is stated of the fit."""
        if not self.checks:
            return "This posterior has not been checked for convergence."
        if self.converged:
            return "The posterior passed every convergence check."
        named = "; ".join(f"{c['check']} is {c['value']:.4g}, limit {c['rule']}" for c in self.failed_checks)
        return f"This posterior has NOT converged, do not rely on it: {named}."

    @property
    def adequate(self) -> bool:
        """Whether every check of adequacy passed: how well the model describes the runs."""
        return not self._inadequacies

    @property
    def adequacy(self) -> str:
        """A sentence on whether the model describes the runs. Whatever is answered from the fit repeats it where it does not."""
        if not self.checks:
            return "The model has not been checked against the runs."
        if self.adequate:
            return "The model passed every check of adequacy."
        named = "; ".join(f"{c['check']} is {c['value']:.3g}, limit {c['rule']}" for c in self._inadequacies)
        return f"The model does NOT describe the runs well: {named}."

    @property
    def _inadequacies(self) -> list[Mapping[str, Any]]:
        return [check for check in self.checks if not check["passed"] and check["about"] == "adequacy"]

    @property
    def how_sampled(self) -> str:
        """Which sampler drew the posterior, why, and the modes that matter where there are several."""
        if "sampler_reason" not in self.facts:
            return ""
        name = {"importance": "importance sampling and an ensemble of walkers", "nuts": "NUTS"}.get(
            str(self.facts["sampler"]), self.facts["sampler"]
        )
        sentence = f"Sampled by {name} ({self.facts['sampler_reason']})."
        modes = self.tree["modes"].to_dataset() if "modes" in self.tree else None
        if modes is None or modes.sizes["mode"] < 2:
            return sentence
        nearest = self.tree["sample_stats"].to_dataset()["mode"].values.ravel()
        each = (
            f"log density {density:.1f} with {100 * np.mean(nearest == number):.1f} % of the draws"
            for number, density in enumerate(modes["log_density"].values)
        )
        return f"{sentence} The posterior has {modes.sizes['mode']} modes: {'; '.join(each)}."

    @cached_property
    def learned(self) -> dict[str, xr.DataArray]:
        """Every published parameter that is one number: draws, dims (chain, draw); what the document fixes is so in each.

        Of several observations, as the first whose law has the parameter has it; of one that varies over columns it is the
        population's centre, where that is a number of its own.
        """
        one: dict[str, xr.DataArray] = {}
        for view in reversed(list(self.views.values())):
            draws, kinds = view.posterior, view.model.kinds
            for name in (n for n in kinds if n in draws and not view.model.parameters[n].varies_by):
                # What follows from a parameter that varies has a number a group: in the one group of a table, one.
                groups = [dim for dim in draws[name].dims if dim not in names.SAMPLE_DIMS]
                if all(draws.sizes[dim] == 1 for dim in groups):
                    one[name] = draws[name].squeeze(groups, drop=True)
            if not self.model.is_one or self.model.only.table != "runs":
                centres = {name: names.population(name) for name, kind in kinds.items() if not kind.moves}
                one |= {name: draws[label] for name, label in centres.items() if label in draws}
        shape = [self.posterior.sizes[dim] for dim in names.SAMPLE_DIMS]
        return one | {n: xr.DataArray(np.full(shape, v), dims=names.SAMPLE_DIMS) for n, v in self.model.fixed.items()}

    def save(self, path: str | Path, *, full: bool = False) -> Path:
        """Write the fit to a netCDF file, in one piece: an interrupted write leaves what was there.

        Parameters
        ----------
        path : str or path
            Where to; its folder has to exist.
        full : bool
            Whether to keep the draws from the prior; by default they are drawn again when the file is read, where that gives
            the same.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InvalidFit
            If its draws are not those of the model on its rows.
        Unwritable
            If it cannot be written there.
        """
        refuse_lacking_rows(self.tree, self.model)
        refuse_unsound(self.tree, self.layout, self.checks)
        write_fit(path, self._contents(full=full))
        return Path(path)

    @property
    def digest(self) -> str:
        """Sixty-four digits that are the same for the same model, rows, draws and facts, but for when and in what time it was made.

        >>> from bayes_scaling.posterior.examples import example_fit
        >>> fit = example_fit()
        >>> fit.digest == fit.with_facts(made="today").digest, fit.digest == fit.with_facts(citation="ours").digest
        (True, False)
        """
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return self._contents().digest

    def _contents(self, *, full: bool = False) -> Contents:
        """Return what a file holds of the fit."""
        kept = (group for group in self.tree.subtree if group.has_data and group.path[1:] not in names.FOLLOWING)
        groups = {group.path[1:]: group.to_dataset(inherit=False) for group in kept}
        if not full and can_be_drawn_again(self.model):
            again = prior_of(self.layout, self.seed)
            if all(name in again and np.array_equal(again[name], draws) for name, draws in self.prior.items()):
                del groups["prior"]
        said = {
            "model": json.loads(self.model.to_json()),
            "reference": dict(self.reference),
            "facts": dict(self.facts),
            "checks": [dict(check) for check in self.checks],
        }
        return Contents.of(said, groups)

    def at_prior(self) -> Self:
        """Return the fit with its prior in the posterior's place: what would be predicted before the runs."""
        return self._with_posterior(self.prior, checks=())

    def thinned(self, draws: int) -> Self:
        """Return the fit with at most ``draws`` draws of each chain, evenly spaced, for pictures."""
        if draws < 1:
            raise OutOfRange(f"A fit cannot be thinned to {draws} draws: ask for at least one.")
        step = -(-self.posterior.sizes["draw"] // draws)
        return self._with_posterior(self.posterior.isel(draw=slice(None, None, step)))

    def _with_posterior(self, draws: xr.Dataset, **changes: Any) -> Self:
        return self._with_group("posterior", draws, **changes)

    def _with_group(self, name: str, group: xr.Dataset, **changes: Any) -> Self:
        kept = (group for group in self.tree.subtree if group.path[1:] not in names.FOLLOWING)
        groups = {group.path: group.to_dataset(inherit=False) for group in kept}
        tree = xr.DataTree.from_dict(groups | {f"/{name}": group})
        return replace(self, tree=tree, **changes).with_layout(self.layout)

    def __repr__(self) -> str:
        """Return the verdict and the sizes."""
        sizes = self.posterior.sizes
        laws = ", ".join(f"{o.law} ({len(self.rows(o.name))} rows)" for o in self.model.observations)
        return f"<Fit of {laws} to {self.facts['runs']}, {sizes['chain']} chains of {sizes['draw']} draws. {self.verdict}>"


def _at_quantile(share: float) -> str:
    """Write where a value lies among draws, of which some thousand tell no share beyond a thousandth."""
    end = "below the quantile 0.001" if share < 0.001 else "above the quantile 0.999"
    return f"at the quantile {share:.3f}" if 0.001 <= share <= 0.999 else end


def _alone(layout: Layout, observation: Observation) -> Layout:
    """Return the layout of one observation alone, with priors stated where they were."""
    rows, model = layout.rows[observation.name], layout.model.of(observation)
    # Its own rows may lack the quantity whose typical value a reference point is.
    stated = {axis: layout.reference[axis] for axis in model.reference}
    alone = Layout.of(model.at_reference(stated), {observation.name: rows.table})
    alone = replace(alone, reference={axis: value for axis, value in layout.reference.items() if axis in alone.reference})
    return alone.with_outliers({observation.name: rows.outliers})


def observation_draws(layout: Layout, name: str, draws: xr.Dataset, alone: Layout | None = None) -> xr.Dataset:
    """Return draws as one observation has them: its law's parameters, its noise, its effects, and nothing else."""
    if layout.model.is_one:
        return draws
    observation, kinds = layout.model.observation(name), layout.model.kinds
    alone, suffix = alone or _alone(layout, observation), layout.model.suffix(observation)
    centres: dict[str, Any] = {}
    varying: dict[str, Any] = {}
    effects: dict[str, list[Any]] = {}
    for parameter in alone.model.priors:
        centre = draws[names.at_reference(parameter) if kinds[parameter].moves else parameter]
        for grouping, coding in layout.codings_of(parameter):
            effect = draws[names.group_effect(parameter, grouping)]
            if grouping == OBSERVATION:
                centre = member(centre, [effect.sel({coding.dim: name}, drop=True)])
                continue
            of_it = alone.codings[parameter, grouping]
            own = effect.sel({coding.dim: list(of_it.labels)}).rename({coding.dim: of_it.dim})
            varying[names.spread(parameter, grouping)] = draws[names.spread(parameter, grouping)]
            varying[names.group_effect(parameter, grouping)] = own
            effects.setdefault(parameter, []).append((own, of_it))
        centres[parameter] = centre
    stored = stored_parameters(alone, centres, effects)
    own_dims = [*(effect.dim for effect in alone.only.effects), names.OUTLIER]
    dims = {names.of_observation(dim, suffix): dim for dim in own_dims}
    labels = (label for effect in alone.only.effects for label in (effect.scale_name, effect.effect_name))
    noise: dict[str, xr.DataArray] = {}
    for label in (*names.NOISE, *labels):
        value = draws.get(names.of_observation(label, suffix))
        if value is not None:  # effects that are integrated out may not be drawn yet
            noise[label] = value.rename({dim: own for dim, own in dims.items() if dim in value.dims})
    coords = {"chain": draws["chain"], "draw": draws["draw"]} if "chain" in draws.coords else {}
    return xr.Dataset(varying | stored | noise).assign_coords({**coords, **alone.coords})


def kept_rows(rows: Rows) -> xr.Dataset:
    """Return the rows of an observation as a netCDF file takes them: numbers, or words, an empty one where there is none.

    Columns that the model does not use are kept where they could divide the rows.
    """
    observation, table = rows.observation, rows.table
    used = (*observation.needs, *rows.groups.columns, *observation.labels_by, f"{observation.output}_se", *_EXTRAS)
    columns = (*used, *other_columns(rows))

    def stored(name: str) -> np.ndarray:
        column = table[name]
        # A number is its own label; true and false are labels, and no numbers.
        if name in rows.groups.columns and (is_bool_dtype(column) or not is_numeric_dtype(column)):
            return column.map(label_of).to_numpy(str)
        if is_numeric_dtype(column):
            return column.to_numpy(float)
        return column.map(str).where(column.notna(), "").to_numpy(dtype=str)

    return xr.Dataset({name.replace("/", _SLASH): ("run", stored(name)) for name in dict.fromkeys(columns) if name in table})


def scalars(draws: xr.Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every single number of a sample: its name, with its labels in brackets where it varies, and its draws, flat."""
    for name, array in draws.data_vars.items():
        dims = [dim for dim in array.dims if dim not in names.SAMPLE_DIMS]
        for labels in product(*(array[dim].values for dim in dims)):
            one = array.sel(dict(zip(dims, labels, strict=True)))
            yield f"{name}[{', '.join(map(str, labels))}]" if dims else str(name), one.values.ravel()


def load_fit(path: str | Path) -> Fit:
    """Load a fit from the file :meth:`Fit.save` wrote.

    Parameters
    ----------
    path : str or path
        The netCDF file.

    Returns
    -------
    Fit
        The fit, read whole: the file is closed again.

    Raises
    ------
    InvalidFit
        If the file is missing, damaged, or not a fit of this package.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> with TemporaryDirectory() as folder:
    ...     fit = load_fit(example_fit().save(f"{folder}/fit.nc"))
    >>> fit.model.law
    'chinchilla'
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFit(f"There is no fit {path}: make one with `bayes-scaling fit RUNS --model MODEL --out {path}`.")
    contents = read_fit(path)
    said, groups = contents.document, dict(contents.groups)
    try:
        model = model_from_json(json.dumps(said.model))
        checks = tuple(check.model_dump() for check in said.checks)
        refuse_lacking_groups(groups, [observation.name for observation in model.observations])
        fit = Fit(xr.DataTree.from_dict(groups), model, said.reference, said.facts, checks)
        refuse_lacking_rows(fit.tree, model)
        checked_card(fit.card, "the fit")
        if "prior" not in groups:
            fit = fit._with_group("prior", prior_of(fit.layout, fit.seed))
        refuse_unsound(fit.tree, fit.layout, checks)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise DamagedFit(f"{path} is not a whole fit: {first_fault(error)}. Fit again.") from None
    if "prior" not in groups:
        fit.__dict__["_digest"] = said.digest
    return fit
