"""A fit: posterior, question and provenance, in one netCDF file that is whole or not there."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import BayesScalingError, InvalidFit, InvalidRequest, UnknownName, choose
from bayes_scaling.files import whole_file
from bayes_scaling.model.documents import model_from_json
from bayes_scaling.model.grouping import Groups
from bayes_scaling.model.levels import own_parameters
from bayes_scaling.model.reference import fixed_values
from bayes_scaling.model.specification import ModelSpec
from bayes_scaling.model.systems import Observation, SystemSpec, one_law

CORRELATED: Final = "residuals_go_together"
"""Fact of a fit that is one observation of a system: whether residuals of one run are correlated."""
_ATTRIBUTE = "bayes_scaling"
_FORMAT: Final = 1
_GROUPS: Final = {
    "Fit": {"posterior", "prior", "sample_stats", "constant_data", "observed_data"},
    "JointFit": {"posterior", "prior", "sample_stats", "observations"},
}


@dataclass(frozen=True, eq=False)
class Sampled:
    """Draws, the question they answer, and where they came from: what every fit has.

    Parameters
    ----------
    tree : DataTree
        Groups ``posterior`` and ``prior``, dims (chain, draw, *groupings); ``sample_stats``, dims (chain,
        draw); what was measured: ArviZ takes it as it is.
    spec : ModelSpec or SystemSpec
        The model document.
    reference : mapping
        The point at which the priors are stated, a number for each quantity.
    facts : mapping
        Provenance: name and digest of the runs, loss unit, what params counts, seed, draws, tune, chains,
        versions, time.
    checks : tuple of mapping
        The checks as they came out when the fit was made: see :func:`~bayes_scaling.check`.
    """

    tree: xr.DataTree
    spec: Any
    reference: Mapping[str, float]
    facts: Mapping[str, Any]
    checks: tuple[Mapping[str, Any], ...] = ()

    @property
    def posterior(self) -> xr.Dataset:
        """The posterior draws, dims (chain, draw, *groupings)."""
        return self.tree["posterior"].to_dataset()

    @property
    def prior(self) -> xr.Dataset:
        """Draws from the prior, with the posterior's variables."""
        return self.tree["prior"].to_dataset()

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
        """A sentence on whether the posterior is to be believed.

        It comes before anything else that is said about the fit.
        """
        if not self.checks:
            return "This posterior has not been checked for convergence."
        if self.converged:
            return "The posterior passed every convergence check."
        named = "; ".join(f"{c['check']} is {c['value']:.4g}, {c['rule']}" for c in self.failed_checks)
        return f"This posterior has NOT converged, do not rely on it: {named}."

    @cached_property
    def learned(self) -> dict[str, xr.DataArray]:
        """Every published parameter that is one number: draws, dims (chain, draw); what the document fixes is so in each."""
        one = {name: self.posterior[name] for name in self.spec.parameters if name in self.posterior}
        return {n: v for n, v in one.items() if set(v.dims) == {"chain", "draw"}} | self._fixed()

    def _fixed(self) -> dict[str, xr.DataArray]:
        shape = [self.posterior.sizes[dim] for dim in ("chain", "draw")]
        return {
            n: xr.DataArray(np.full(shape, value), dims=("chain", "draw")) for n, value in fixed_values(self.spec).items()
        }

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self)[1:-1])}</p>{self.tree._repr_html_()}"

    def save(self, path: str | Path) -> Path:
        """Write the fit to a netCDF file, in one piece: an interrupted write leaves what was there.

        Parameters
        ----------
        path : str or path
            Where to; its folder has to exist.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        Unwritable
            If it cannot be written there.
        """
        document = {
            "format": _FORMAT,
            "model": json.loads(self.spec.to_json()),
            "model_digest": self.spec.digest,
            "reference": dict(self.reference),
            "facts": dict(self.facts),
            "checks": [dict(check) for check in self.checks],
        }
        tree = self.tree.copy()
        tree.attrs = {_ATTRIBUTE: json.dumps(document)}
        # The checksum turns a flipped bit into an error instead of a wrong number.
        checksums = {
            group.path: {str(name): {"fletcher32": True} for name, v in group.data_vars.items() if v.dtype.kind in "fiub"}
            for group in tree.subtree
        }
        with whole_file(path) as unfinished:
            tree.to_netcdf(unfinished, engine="h5netcdf", encoding=checksums)
        return Path(path)

    def before_the_runs(self) -> Self:
        """Return the fit with its prior in the posterior's place: what would have been said before the runs."""
        return replace(self, tree=self._with_posterior(self.prior), checks=())

    def thinned(self, draws: int) -> Self:
        """Return the fit with at most ``draws`` draws of each chain, evenly spaced, for pictures."""
        step = -(-self.posterior.sizes["draw"] // draws)
        return replace(self, tree=self._with_posterior(self.posterior.isel(draw=slice(None, None, step))))

    def _with_posterior(self, draws: xr.Dataset) -> xr.DataTree:
        groups = {group.path: group.to_dataset(inherit=False) for group in self.tree.subtree}
        return xr.DataTree.from_dict(groups | {"/posterior": draws})


class Fit(Sampled):
    """A posterior of one law, the question it answers, and where it came from.

    Its ``tree`` has ``constant_data`` and ``observed_data``, dims (run): the runs it has seen. Everything else is as
    for :class:`Sampled`.
    """

    spec: ModelSpec

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The runs the fit has seen: the columns its model uses."""
        inputs = self.tree["constant_data"].to_dataset().to_dataframe()
        return inputs.assign(loss=self.tree["observed_data"]["loss"].values).reset_index(drop=True)

    @cached_property
    def groups(self) -> Groups:
        """The groups the fit has seen."""
        return Groups.of(self.spec, self.runs)

    def __repr__(self) -> str:
        """Return the verdict and the sizes."""
        sizes = self.posterior.sizes
        return (
            f"<Fit of {self.spec.law} to {self.facts['runs']} ({len(self.runs)} rows), "
            f"{sizes['chain']} chains of {sizes['draw']} draws. {self.verdict}>"
        )


class JointFit(Sampled):
    """A posterior of a system of laws: one set of parameters, several kinds of observation.

    Its ``tree`` has a group ``observations/NAME``, dims (run), for each observation: the rows it has seen. Everything
    else is as for :class:`Sampled`; :meth:`of` gives one observation as a fit of its law alone.
    """

    spec: SystemSpec

    @cached_property
    def learned(self) -> dict[str, xr.DataArray]:
        """Every published parameter that is one number, as the first observation whose law has it has it.

        Of one that varies over columns it is the population's centre, where that is a number of its own.
        """
        found: dict[str, xr.DataArray] = {}
        for observation in reversed(self.spec.observations):
            own = own_parameters(self.spec, observation, self.posterior)
            found |= {name: own[name] for name in observation.the_law.parameters if name in own}
            centres = {n: own[f"{n}_population"] for n in observation.the_law.parameters if f"{n}_population" in own}
            found |= {name: centre for name, centre in centres.items() if not self.spec.kinds[name].moves}
        return found | self._fixed()

    def rows(self, name: str) -> pd.DataFrame:
        """Return the rows of one observation: the columns its law uses, and what was measured."""
        return self.tree[f"observations/{self.observation(name).name}"].to_dataset().to_dataframe().reset_index(drop=True)

    def observation(self, name: str) -> Observation:
        """Return what the document says of one observation.

        Raises
        ------
        UnknownName
            If there is no such observation.
        """
        names = [observation.name for observation in self.spec.observations]
        if name not in names:
            raise UnknownName(f"There is no observation {name!r}; {choose(name, names)}.")
        return self.spec.observations[names.index(name)]

    def of(self, name: str) -> Fit:
        """Return one observation as a fit of its law: predictions and pictures take it.

        Residuals that go together along runs are no part of a fit of one law: how well such an observation is described is
        for the checks of the joint fit to say.

        Parameters
        ----------
        name : str
            Name of an observation whose law gives a loss.

        Returns
        -------
        Fit
            The law's parameters, as this observation has them, and its own noise.

        Raises
        ------
        UnknownName
            If there is no such observation.
        InvalidRequest
            If its law does not give a loss.
        """
        observation = self.observation(name)
        if observation.output != "loss":
            raise InvalidRequest(f"{name} measures {observation.output}, no loss: ask for its law with derive.")
        spec, keep = one_law(self.spec, observation), self.rows(name)
        groups = {
            "/posterior": own_parameters(self.spec, observation, self.posterior),
            "/prior": own_parameters(self.spec, observation, self.prior),
            "/sample_stats": self.tree["sample_stats"].to_dataset(),
            "/constant_data": xr.Dataset({str(c): ("run", v.to_numpy()) for c, v in keep.items() if c != "loss"}),
            "/observed_data": xr.Dataset({"loss": ("run", keep["loss"].to_numpy(float))}),
        }
        reference = {axis: self.reference[axis] for axis in observation.the_law.axes}
        facts = {**self.facts, CORRELATED: observation.correlation is not None}
        return Fit(xr.DataTree.from_dict(groups), spec, reference, facts, self.checks)

    def __repr__(self) -> str:
        """Return the verdict and the sizes."""
        seen = ", ".join(f"{o.name} {len(self.rows(o.name))}" for o in self.spec.observations)
        sizes = self.posterior.sizes
        return (
            f"<Fit of a system of {len(self.spec.observations)} laws to {self.facts['runs']} ({seen} rows), "
            f"{sizes['chain']} chains of {sizes['draw']} draws. {self.verdict}>"
        )


def scalars(draws: xr.Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every single number of a sample with its draws, laid out flat.

    Parameters
    ----------
    draws : Dataset, dims (chain, draw, *groupings)
        A posterior or a prior.

    Yields
    ------
    tuple of str and ndarray
        The variable's name, with its labels in brackets where it varies, and its draws.
    """
    for name, array in draws.data_vars.items():
        dims = [dim for dim in array.dims if dim not in ("chain", "draw")]
        for labels in product(*(array[dim].values for dim in dims)):
            one = array.sel(dict(zip(dims, labels, strict=True)))
            yield f"{name}[{', '.join(map(str, labels))}]" if dims else str(name), one.values.ravel()


def load_fit(path: str | Path) -> Fit | JointFit:
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
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidFit(f"There is no fit {path}: make one with `bayes-scaling fit RUNS --model MODEL --out {path}`.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = xr.load_datatree(path, engine="h5netcdf")
    except Exception as error:  # any error of a reader of foreign bytes means the same thing
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidFit(f"{path} cannot be read as a fit; it is damaged, or no netCDF file: {reason}") from None
    if _ATTRIBUTE not in tree.attrs:
        raise InvalidFit(f"{path} is a netCDF file, but not a fit: give one that `bayes-scaling fit` wrote.")
    try:
        document = json.loads(tree.attrs[_ATTRIBUTE])
        if document["format"] != _FORMAT:
            raise InvalidFit(f"{path} has format {document['format']}, this version reads {_FORMAT}: fit again.")
        spec = model_from_json(json.dumps(document["model"]))
        if spec.digest != document["model_digest"]:
            raise InvalidFit(f"{path}: the model in it is not the one it was fitted with; fit again.")
        kind = Fit if isinstance(spec, ModelSpec) else JointFit
        fit = kind(tree, spec, document["reference"], document["facts"], tuple(document["checks"]))
        missing = _GROUPS[kind.__name__] - set(tree.children) or set(fit.prior) - set(fit.posterior)
        if missing:
            raise InvalidFit(f"{path} is not a whole fit: it lacks {', '.join(map(str, missing))}. Fit again.")
    except InvalidFit:
        raise
    except (KeyError, TypeError, ValueError, BayesScalingError) as error:
        raise InvalidFit(f"{path} is not a whole fit: {error}") from None
    return fit
