"""All that follows from a model and its tables, made once: inputs, what was measured, groups, effects, serial correlation.

A layout stays with the fit: inference, predictions, checks and reports read it, and nothing of it is worked out twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidModel
from bayes_scaling.model import names
from bayes_scaling.model.document import OBSERVATION, Model, Observation
from bayes_scaling.model.effects import Placed
from bayes_scaling.model.gaussian import Serial
from bayes_scaling.model.grouping import Groups, dimension
from bayes_scaling.model.noise import geometric_mean, relative_error, serial_of
from bayes_scaling.model.reference import inputs_of_the_loss, terms_of
from bayes_scaling.quantities import QUANTITIES


@dataclass(frozen=True, eq=False)
class Rows:
    """One observation, as far as its table can tell its parts apart.

    Effects are discrepancies, then shared noise; outliers are the numbers of rows that have an error of their own more.
    """

    observation: Observation
    table: pd.DataFrame
    groups: Groups
    effects: tuple[Placed, ...]
    serial: Serial | None
    outliers: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.table)

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """Every input of the law by its symbol, a number a row."""
        return {name: self.table[column].to_numpy(float) for name, column in self.observation.columns.items()}

    def values_of(self, symbol: str) -> np.ndarray | None:
        """Return a quantity of the rows by its symbol, an input of the law or another; None where they have it not."""
        if symbol in self.inputs:
            return self.inputs[symbol]
        column = QUANTITIES[symbol].column
        if column == self.observation.the_law.output:
            return self.measured
        has_it = column in self.table and bool(self.table[column].notna().all())
        return self.table[column].to_numpy(float) if has_it else None

    @cached_property
    def log_measured(self) -> np.ndarray:
        """Logarithm of what was measured."""
        return np.log(self.measured)

    @cached_property
    def measured(self) -> np.ndarray:
        """What was measured."""
        return self.table[self.observation.output].to_numpy(float)

    @cached_property
    def relative_error(self) -> np.ndarray:
        """Standard error over what was measured, zero where none is stated."""
        return relative_error(self.table, self.observation.output)

    @property
    def has_own_variance(self) -> bool:
        """Whether a row has an error of its own beside correlated noise; rows that stand alone count as having one."""
        correlation = None if self.serial is None else self.observation.correlation
        return correlation is None or correlation.nugget is not None or bool(self.relative_error.any())

    @cached_property
    def typical(self) -> float:
        """Geometric mean of what was measured: noise and discrepancy are stated there."""
        return geometric_mean(self.measured)

    @property
    def runs(self) -> int:
        """How many runs have several rows that follow each other."""
        return 0 if self.serial is None else len(self.serial.rows)

    @property
    def first_of_runs(self) -> np.ndarray:
        """Numbers of the first row of every run, and of the rows that stand alone."""
        return np.arange(len(self)) if self.serial is None else np.append(self.serial.alone, self.serial.rows[:, 0])

    @property
    def units_of_outliers(self) -> np.ndarray:
        """A column for each row that went wrong: one in this row, zero elsewhere; shape (row, outlier)."""
        return (np.arange(len(self))[:, None] == np.array(self.outliers)).astype(float)

    @property
    def discrepancy(self) -> tuple[Placed, ...]:
        """What the law gets wrong."""
        return tuple(effect for effect in self.effects if effect.section == "discrepancy")

    @property
    def noise(self) -> tuple[Placed, ...]:
        """Noise that rows share."""
        return tuple(effect for effect in self.effects if effect.section == "noise")

    def label(self, number: int) -> str:
        """Return the name of a row: its ``run_id``, or else its number from one."""
        name = str(self.table["run_id"].iloc[number]) if "run_id" in self.table else ""
        return name if name not in ("", "nan") else f"row {number + 1}"

    def with_their_runs(self, numbers: np.ndarray) -> np.ndarray:
        """Return rows with all others of their runs, and with those that went wrong, in the order of the table."""
        numbers = np.union1d(numbers, self.outliers).astype(int)
        if self.serial is None:
            return numbers
        there = self.serial.there > 0
        chosen = (np.isin(self.serial.rows, numbers) & there).any(axis=1)
        chosen[0] |= not chosen.any()  # correlation along runs needs one
        return np.union1d(numbers, self.serial.rows[chosen[:, None] & there])

    def at(self, numbers: np.ndarray) -> Rows:
        """Return some of the rows, those that went wrong among them."""
        table = self.table.iloc[numbers].reset_index(drop=True)
        few = replace(
            self,
            table=table,
            groups=replace(self.groups, of_run=self.groups.of_run[numbers]),
            effects=tuple(replace(effect, basis=effect.basis[numbers], own=effect.own[numbers]) for effect in self.effects),
            serial=serial_of(table, self.observation.correlation),
            outliers=tuple(int(number) for number in np.searchsorted(numbers, self.outliers)),
        )
        few.__dict__["typical"] = self.typical
        return few

    @cached_property
    def basis(self) -> np.ndarray:
        """Bases of all effects side by side, shape (row, coefficient)."""
        return np.concatenate([effect.basis for effect in self.effects], axis=1)


@dataclass(frozen=True)
class Coding:
    """The factor coding of one parameter in one grouping: its levels, over all observations whose law has the parameter.

    ``positions`` are, for each of these observations, the position of the label of every group of its rows; one number where
    the labels are the observations themselves.
    """

    dim: str
    labels: tuple[str, ...]
    positions: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Layout:
    """A model on its tables: ``model`` is what of the document these can tell apart, ``left_out`` what they cannot.

    ``reference`` is the point at which the priors are stated; ``codings`` are by parameter and grouping.

    >>> from bayes_scaling.model.document import read_model
    >>> runs = pd.DataFrame({"params": [1e8, 1e10], "tokens": [1e10, 1e12], "compute_flops": [6e18, 6e22], "loss": [3.0, 2.0]})
    >>> layout = Layout.of(read_model("kappa"), {"loss": runs})
    >>> [effect.name for effect in layout.only.effects], layout.left_out
    (['N', 'D', 'C'], ('noise.recipe', 'correlation'))
    """

    model: Model
    reference: Mapping[str, float]
    rows: Mapping[str, Rows]
    codings: Mapping[tuple[str, str], Coding]
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Model, tables: Mapping[str, pd.DataFrame]) -> Layout:
        """Lay a model out over the table of each observation, by name; refuse tables that do not go with the document."""
        rows, left_out = {}, []
        for observation in model.observations:
            table = tables[observation.name]
            alone = model.of(observation)
            groupings = tuple(g for g in alone.groupings if g != OBSERVATION)
            groups = Groups.of(alone.group_columns, groupings, table)
            placed = [effect.place(name, section, table) for (section, name), effect in observation.effects.items()]
            effects = tuple(effect for effect in placed if effect.tells_rows_apart)
            serial = serial_of(table, observation.correlation)
            missing = [f"{effect.section}.{effect.name}" for effect in placed if effect not in effects]
            missing += ["correlation"] if observation.correlation is not None and serial is None else []
            suffix = model.suffix(observation)
            left_out += [f"{suffix}.{part}" if suffix else part for part in missing]
            update: dict[str, Any] = {"correlation": observation.correlation if serial is not None else None}
            for section in ("discrepancy", "noise"):
                update[section] = {e.name: getattr(observation, section)[e.name] for e in effects if e.section == section}
            pruned = observation.model_copy(update=update) if missing else observation
            rows[observation.name] = Rows(pruned, table, groups, effects, serial)
        if left_out:
            model = model.model_copy(update={"observations": tuple(r.observation for r in rows.values())})
        return cls(model, _reference(model, rows), rows, _codings(model, rows), tuple(left_out))

    @property
    def only(self) -> Rows:
        """The rows of the one observation."""
        return self.rows[self.model.only.name]

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """The parameters that are losses and are sampled together."""
        return terms_of(self.model)

    @property
    def most_rows(self) -> int:
        """Number of rows of the observation that has most."""
        return max(len(rows) for rows in self.rows.values())

    @property
    def units(self) -> dict[str, float]:
        """What the priors of parameters are on multiples of: see :meth:`Model.units_at`."""
        return self.model.units_at(self.reference)

    def __iter__(self) -> Iterator[tuple[str, Rows]]:
        """Yield each observation's suffix and rows."""
        for rows in self.rows.values():
            yield self.model.suffix(rows.observation), rows

    def codings_of(self, parameter: str) -> list[tuple[str, Coding]]:
        """Return the groupings of a parameter and their codings."""
        return [(g, self.codings[parameter, g]) for g in self.model.parameters[parameter].varies_by]

    @property
    def coords(self) -> dict[str, list[str]]:
        """Labels of every dimension that groups bring."""
        labels = {coding.dim: list(coding.labels) for coding in self.codings.values()}
        if self.model.is_one and self.only.groups.columns:
            labels[self.only.groups.dim] = self.only.groups.names
        labels |= {
            names.of_observation(names.OUTLIER, suffix): [rows.label(number) for number in rows.outliers]
            for suffix, rows in self
            if rows.outliers
        }
        return labels

    def with_outliers(self, outliers: Mapping[str, Sequence[int]]) -> Layout:
        """Return the layout in which some rows, by observation, have an error of their own more."""
        rows = {name: replace(of_it, outliers=tuple(outliers.get(name, ()))) for name, of_it in self.rows.items()}
        return replace(self, rows=rows)

    def at_rows(self, numbers: Mapping[str, np.ndarray]) -> Layout:
        """Return the same model on some of the rows, by observation: its unknowns are the same, and mean the same.

        Of runs whose points are correlated all points have to be there: see :meth:`Rows.with_their_runs`.
        """
        return replace(self, rows={name: rows.at(numbers[name]) for name, rows in self.rows.items()})

    def some_rows(self, count: int, also: Mapping[str, Sequence[int]] | None = None) -> dict[str, np.ndarray]:
        """Return the numbers of about so many rows of each observation, taken at random with their runs, and of some more."""
        chosen, rng = {}, np.random.default_rng(0)
        for name, rows in self.rows.items():
            firsts = rng.permutation(rows.first_of_runs)
            some = firsts[: max(1, round(count * len(firsts) / len(rows)))]
            also_there = np.array((also or {}).get(name, ()), dtype=int)
            chosen[name] = rows.with_their_runs(np.union1d(some, also_there))
        return chosen

    def data(self) -> dict[str, Any]:
        """Return what a compiled model reads of the tables, by name: exactly its data."""
        kinds = (self.model.kinds[name] for name in self.model.priors)
        axes = dict.fromkeys(axis for kind in kinds for axis in kind.axes)
        axes |= dict.fromkeys(self.model.units.values())
        if self.terms:
            axes |= dict.fromkeys(inputs_of_the_loss(self.only.observation.the_law))
        data: dict[str, Any] = {f"reference_{axis}": self.reference[axis] for axis in axes}
        for suffix, rows in self:
            observation = rows.observation
            own: dict[str, Any] = {f"input_{name}": values for name, values in rows.inputs.items()}
            own["log_measured"] = rows.log_measured
            if rows.has_own_variance:
                own["own_variance"] = rows.relative_error**2
            if rows.outliers:
                own["rows_of_outliers"] = rows.units_of_outliers
            if observation.likelihood.growth is not None:
                own["typical"] = rows.typical
            for effect in rows.effects:
                own[f"basis_{effect.name}"] = effect.basis
                if effect.section == "noise":
                    own[f"own_{effect.name}"] = effect.own
            if rows.serial is not None:
                own |= {f"serial_{part}": getattr(rows.serial, part) for part in ("rows", "there", "at", "alone")}
            places = {key: coding.positions.get(observation.name) for key, coding in self.codings.items()}
            of_groups = {key: place for key, place in places.items() if isinstance(place, np.ndarray)}
            if rows.groups.columns and of_groups:
                own["group_of_run"] = rows.groups.of_run
            data |= {names.of_observation(name, suffix): value for name, value in own.items()}
            data |= {name_of_position(*key, suffix): place for key, place in of_groups.items()}
        return data


def name_of_position(parameter: str, grouping: str, suffix: str) -> str:
    """Name of the data that say which label of a grouping each group of rows has.

    >>> name_of_position("alpha", "corpus:arch", "")
    'position_alpha_corpus_arch'
    """
    return names.of_observation(f"position_{parameter}_{dimension(grouping)}", suffix)


def _reference(model: Model, rows: Mapping[str, Rows]) -> dict[str, float]:
    """Return the point at which priors are stated: numbers as given, and geometric means of the rows that have the quantity."""
    inputs = rows[model.only.name].inputs if model.is_one else ()
    point: dict[str, float] = {}
    for name in dict.fromkeys((*inputs, *model.reference)):
        stated = model.reference.get(name)
        if stated is None or isinstance(stated, str):
            values = [of_it for each in rows.values() if (of_it := each.values_of(name)) is not None]
            if not values:
                raise InvalidModel(
                    f"The rows have no {QUANTITIES[name].column} to compute the reference point {name} from: give a number."
                )
            stated = geometric_mean(np.concatenate(values))
        point[name] = float(stated)
    return point


def _codings(model: Model, rows: Mapping[str, Rows]) -> dict[tuple[str, str], Coding]:
    labels: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, parameter in model.parameters.items():
        users = [observation.name for observation in model.users(name)]
        for grouping in parameter.varies_by:
            if grouping == OBSERVATION:
                labels[name, grouping] = tuple(sorted(users))
            elif model.is_one:
                labels[name, grouping] = tuple(rows[users[0]].groups.factor_levels(grouping))
            else:
                labels[name, grouping] = tuple(sorted({x for o in users for x in rows[o].groups.labels(grouping)}))
    codings = {}
    for (name, grouping), levels in labels.items():
        # One dimension serves all parameters that vary by a grouping, unless their labels differ.
        one = all(other == levels for (_, g), other in labels.items() if g == grouping)
        place = {label: number for number, label in enumerate(levels)}
        users = [observation.name for observation in model.users(name)]
        positions: dict[str, Any] = place
        if grouping != OBSERVATION:
            positions = {user: np.array([place[x] for x in rows[user].groups.labels(grouping)]) for user in users}
        dim = dimension(grouping) if one else f"{dimension(grouping)}_of_{name}"
        codings[name, grouping] = Coding(dim, levels, positions)
    return codings
