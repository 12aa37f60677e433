"""From FLOP to device-hours, days, money and energy, with the uncertainty of price and utilisation."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, ValidationError

from bayes_scaling.errors import InvalidInputs, OutOfRange, UnknownChoice, choose, first_fault
from bayes_scaling.files import DATA, read_toml
from bayes_scaling.model.document import Strict
from bayes_scaling.model.priors import Prior
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.questions.base import ENDS, Answer, Question
from bayes_scaling.questions.surface import DRAWS
from bayes_scaling.wording import credible, flop, short

_SECONDS_PER_HOUR: Final = 3600.0
USUAL_UTILISATION: Final = Prior.model_validate({"dist": "LogNormal", "mu": float(np.log(0.4)), "sigma": 0.12})
"""Share of the peak that large training runs reach: .33 to .49, 90 %. PaLM reports .46, Llama 3 .38 to .43 of bf16 peak."""


class Device(Strict):
    """An accelerator, and what an hour of it costs.

    >>> device("h100").peak_flops
    989400000000000.0
    """

    title: str = Field(default="", description="Its name.")
    peak_flops: float = Field(gt=0, description="Peak of dense arithmetic in the precision trained in, FLOP/s.")
    watts: float = Field(gt=0, description="Power it draws.")
    price_per_hour: float | Prior = Field(description="Money an hour.")
    currency: str = Field(default="dollars", description="Which money.")
    utilisation: float | Prior = Field(
        default=USUAL_UTILISATION, description="Share of the peak that training reaches, counted by C = 6 N D."
    )
    overhead: float = Field(default=1.2, ge=1, description="Power of the whole site over that of the devices.")
    source: str = Field(default="", description="Where the numbers are from.")


@cache
def devices() -> dict[str, Device]:
    """Return the accelerators that are shipped, by name."""
    return {
        name: Device.model_validate(entry) for name, entry in tomllib.loads((DATA / "hardware.toml").read_text()).items()
    }


def device(name: str | Path) -> Device:
    """Return an accelerator: a shipped one by name, or the one of a TOML document; refuse what is neither."""
    if str(name) in devices():
        return devices()[str(name)]
    path = Path(name)
    if path.suffix != ".toml":
        raise UnknownChoice(f"There is no device {str(name)!r}; {choose(str(name), devices())}, or give a TOML document.")
    try:
        return Device.model_validate(read_toml(path))
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise InvalidInputs(
            f"The device {path} cannot be used: {place}: {wrong['msg']}, found {wrong['input']!r}."
        ) from None
    except OSError as error:
        raise InvalidInputs(f"The device {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InvalidInputs(f"The device {path} is not a TOML document: {first_fault(error)}.") from None


def cost(
    compute: Any,
    on: Device | str | Path,
    *,
    count: int | None = None,
    price: float | None = None,
    utilisation: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return ``device_hours``, ``money``, ``megawatt_hours`` and, of a count, ``days`` of a compute: see :class:`Cost`.

    Dims (chain, draw, *dims of compute): the draws are of price and utilisation.
    """
    hardware = on if isinstance(on, Device) else device(on)
    flops = compute if isinstance(compute, xr.DataArray) else np.asarray(compute, float)
    if isinstance(flops, np.ndarray):
        flops = xr.DataArray(flops, dims=("compute_flops",) if flops.ndim else ())
    if not bool((np.isfinite(flops) & (flops > 0)).all()):
        raise OutOfRange("The compute of a run has to be a positive number of FLOP.")
    if count is not None and count < 1:
        raise OutOfRange(f"The count of devices is {count}: it has to be at least one.")
    rng = np.random.default_rng(seed)
    share = _drawn("utilisation", hardware.utilisation if utilisation is None else utilisation, rng)
    hourly = _drawn("price", hardware.price_per_hour if price is None else price, rng)
    if utilisation is not None and utilisation > 1:
        raise OutOfRange(f"The utilisation is {utilisation:g}: a share of the peak is at most one.")
    hours = flops / (hardware.peak_flops * np.minimum(share, 1.0) * _SECONDS_PER_HOUR)
    megawatts = hardware.watts * hardware.overhead / 1e6
    spent = xr.Dataset({"device_hours": hours, "money": hours * hourly, "megawatt_hours": hours * megawatts})
    if count is not None:
        spent["days"] = hours / count / 24
    return spent.transpose(*SAMPLE_DIMS, ...)


def compute_in(
    days: float, on: Device | str | Path, *, count: int, utilisation: float | None = None, seed: int = 0
) -> float:
    """Return the compute that devices do in some days, at the median utilisation, FLOP.

    >>> f"{compute_in(30, 'h100', count=1024, utilisation=0.4):.3g}"
    '1.05e+24'
    """
    for name, value in (("days", days), ("count", count)):
        if not (np.isfinite(value) and value > 0):
            raise OutOfRange(f"{name} is {value:g}: it has to be a positive number.")
    one = cost(1e21, on, count=count, utilisation=utilisation, seed=seed)["days"]
    return float(1e21 * days / one.median())


def _drawn(name: str, value: float | Prior, rng: np.random.Generator) -> xr.DataArray:
    if isinstance(value, Prior):
        return xr.DataArray(value.draw(rng, (1, DRAWS["cost"])), dims=SAMPLE_DIMS)
    if not (np.isfinite(value) and value > 0):
        raise OutOfRange(f"The {name} is {value:g}: it has to be a positive number.")
    return xr.DataArray(np.full((1, DRAWS["cost"]), float(value)), dims=SAMPLE_DIMS)


class OnHardware(Strict):
    """What a question about cost runs on."""

    device: str = Field(
        default="h100", description="a100, h100, h200, tpu_v4, or a TOML document.", json_schema_extra={"file": ".toml"}
    )
    count: int | None = Field(default=None, ge=1, description="Number of devices.")
    price: float | None = Field(
        default=None, gt=0, le=1e9, description="Price of one device-hour, in place of the default of the device."
    )
    utilisation: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of peak FLOP/s that training reaches, in place of the default of the device.",
    )

    def bill(self, compute: float, prob: float, seed: int) -> tuple[str, pd.DataFrame]:
        """Return what a compute costs, in words and as a table."""
        spent = cost(compute, self.device, count=self.count, price=self.price, utilisation=self.utilisation, seed=seed)
        rows = {str(name): [float(bound) for bound in interval(values, prob)] for name, values in spent.items()}
        table = pd.DataFrame.from_dict(rows, orient="index", columns=ENDS).rename_axis("cost")
        on = device(self.device)
        words = {name: on.currency if name == "money" else name.replace("_", " ") for name in rows}
        parts = [f"{short(row[0])} {words[name]} ({credible(prob, *map(short, row[1:]))})" for name, row in rows.items()]
        return f"On {on.title}: {', '.join(parts)}.", table


class Cost(OnHardware, Question):
    """Device-hours, days, money and energy of a training run.

    Hours are C over peak times utilisation; money is hours times price, energy hours times power and the overhead of the
    site. Price and utilisation are uncertain where the device has a prior for them and none is given.

    Table ``cost``: a row a ``cost``, ``device_hours``, ``money``, ``megawatt_hours`` and, of a count, ``days``; ``median``,
    ``lower``, ``upper``.

    Examples
    --------
    A day of a thousand H100 at half their peak:

    >>> Cost(compute=4.27e22, count=1000, price=2.0, utilisation=0.5).answer().tables["cost"]["median"].round(1).tolist()
    [23976.4, 47952.7, 20.1, 1.0]
    """

    name = "cost"
    panel = "Budget"
    about_budgets = True
    example = "cost --compute 1e24 --device h100 --count 1024"
    takes = ()
    guarded = False
    unused = ("group",)
    writes = "cost"

    compute: float = Field(ge=1, le=BY_COLUMN["compute_flops"].maximum, description="Compute of the run, FLOP.")

    def _result(self, posterior: Any) -> Answer:
        sentence, table = self.bill(self.compute, self.prob, self.seed)
        return Answer(f"{flop(self.compute)}. {sentence}", tables={"cost": table})
