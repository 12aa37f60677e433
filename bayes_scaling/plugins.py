"""What is registered by a name, and what an installed package adds to it by an entry point.

An entry point of the group ``bayes_scaling.plugins`` names a module that registers its laws, effects, likelihoods,
distributions, questions or readers when it is imported. It is imported when a name is asked for that nobody has registered so far.
"""

from __future__ import annotations

import threading
import warnings
from importlib.metadata import entry_points
from typing import Any, Final

from bayes_scaling import display
from bayes_scaling.errors import BayesScalingWarning, UnknownName, choose

GROUP: Final = "bayes_scaling.plugins"


class Registry[T](dict[str, T]):
    """Things by their names, those of plug-ins among them; ``what`` is a word for each. A wrong name is a sentence.

    >>> Registry("law")["chinchila"]
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.UnknownName: There is no law 'chinchila'; valid: none.
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def __contains__(self, name: object) -> bool:
        """Whether a thing has this name, once plug-ins had their chance to add it."""
        if not super().__contains__(name):
            _load_once()
        return super().__contains__(name)

    def __missing__(self, name: str) -> T:
        if name in self:
            return self[name]
        raise UnknownName(f"There is no {self.what} {name!r}; {choose(str(name), self)}.")

    def __repr__(self) -> str:
        return f"<{len(self)} registered as {self.what}: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        each = (f"{name}: {(thing.__doc__ or '').strip().partition(chr(10))[0]}" for name, thing in self.items())
        return display.paragraph(f"{len(self)} registered as {self.what}.") + display.listed(each)

    def refuse_taken(self, name: str, module: str) -> None:
        """Refuse a name that a thing of another module has; one of the same may be defined anew, as a notebook does."""
        taken: Any = self.get(name)  # asks no plug-in: these may be what is being loaded
        if taken is not None and taken.__module__ != module:
            raise TypeError(
                f"The {self.what} {name!r} already exists, in {taken.__module__}: give the new one another name."
            )

    @property
    def own(self) -> dict[str, T]:
        """Those that are not of this package."""
        return {name: thing for name, thing in self.items() if not is_shipped(thing)}


def is_shipped(thing: Any) -> bool:
    """Whether a function or a class is of this package."""
    return thing.__module__.split(".")[0] == __name__.split(".")[0]


_loading = threading.RLock()
_state = {"loaded": False}


def _load_once() -> None:
    """Import every plug-in, the first time; one that cannot be imported is left out, with a warning."""
    with _loading:
        if _state["loaded"]:
            return
        _state["loaded"] = True  # before the rest: a plug-in may itself ask for a name
        for point in entry_points(group=GROUP):
            try:
                point.load()
            except Exception as error:
                place = f"The plug-in {point.name!r} ({point.value})"
                reason = f"{type(error).__name__}: {error}"
                warnings.warn(BayesScalingWarning(f"{place} cannot be loaded and is left out: {reason}"), stacklevel=2)
