"""What a scikit-learn search is given as its space, as a Strop space and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from strop import InvalidArgument
from strop.tune.space import Choice, Float, Int, Space


class SearchSpace:
    """From a Space, or a mapping of names to Float, Int, Choice, a list of values or a frozen distribution of SciPy
    (uniform, loguniform, randint). Values may be any objects: those that a store cannot hold are kept by their place in
    the list.

    Raises strop.InvalidArgument naming the parameter.
    """

    def __init__(self, space: Space | Mapping):
        constraints = space.constraints if isinstance(space, Space) else ()
        given = space.parameters if isinstance(space, Space) else space
        if not isinstance(given, Mapping) or not given:
            raise InvalidArgument(f"space {given!r}: expected a mapping of parameter names, or a strop.tune.Space")
        domains = {name: _domain(name, domain) for name, domain in given.items()}
        self._objects = {name: list(domain.values) for name, domain in domains.items()
                         if isinstance(domain, Choice) and not _can_be_stored(domain.values)}
        self.space = Space({name: self._stored(name, domain) for name, domain in domains.items()}, constraints)

    def _stored(self, name, domain):
        when = {parent: self._place(name, parent, value) if parent in self._objects else value
                for parent, value in domain.when.items()}
        if name in self._objects:
            return Choice(list(range(len(self._objects[name]))), when)
        return dataclasses.replace(domain, when=when)

    def _place(self, name, parent, wanted):
        for place, value in enumerate(self._objects[parent]):
            # A clone of a search holds copies of estimators, which are equal to nothing else.
            if value is wanted or (type(value) is type(wanted) and repr(value) == repr(wanted)):
                return place
        raise InvalidArgument(f'parameter "{name}": its condition {parent} = {wanted!r} can never hold')

    def decode(self, params: dict) -> dict:
        return {name: self._objects[name][value] if name in self._objects else value for name, value in params.items()}


def _can_be_stored(values) -> bool:
    return all(isinstance(value, (bool, int, float, str)) for value in values) and (
        len({(value, isinstance(value, bool)) for value in values}) == len(values))


def _domain(name, given):
    if isinstance(given, (Float, Int, Choice)):
        return given
    if isinstance(given, (list, tuple, np.ndarray)):
        return Choice(list(given))
    kind = getattr(getattr(given, "dist", None), "name", None)
    if kind in ("uniform", "loguniform", "reciprocal"):
        low, high = map(float, given.support())
        return Float(low, high, log=kind != "uniform")
    if kind == "randint":
        low, high = map(int, given.support())
        return Int(low, high)
    raise InvalidArgument(f'parameter "{name}": {kind or repr(given)}: expected Float, Int or Choice, a list of values, or '
                          "scipy.stats uniform, loguniform or randint")
