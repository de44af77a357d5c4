"""What a study searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from strop import InvalidArgument, _tune

__all__ = ["Choice", "Float", "Int", "Space"]


@dataclass(frozen=True)
class Float:
    """A real number from low to high, drawn in its logarithm if `log`, or one of low, low + step, …; active only under
    `when`."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: Mapping = field(default_factory=dict)

    def _parameter(self, name):
        return _tune.Parameter.float(name, float(self.low), float(self.high), self.log, float(self.step or 0),
                                     dict(self.when))


@dataclass(frozen=True)
class Int:
    """A whole number from low to high, both included, drawn in its logarithm if `log`, or in steps."""

    low: int
    high: int
    log: bool = False
    step: int = 1
    when: Mapping = field(default_factory=dict)

    def _parameter(self, name):
        return _tune.Parameter.int(name, self.low, self.high, self.log, self.step, dict(self.when))


@dataclass(frozen=True)
class Choice:
    """One of several values without an order: booleans, numbers or strings."""

    values: list
    when: Mapping = field(default_factory=dict)

    def _parameter(self, name):
        if isinstance(self.values, str):
            raise InvalidArgument(f'parameter "{name}": {self.values!r}: expected a list of values')
        for value in self.values:
            if not isinstance(value, (bool, int, float, str)):
                raise InvalidArgument(f'parameter "{name}": value {value!r}: expected a boolean, number or string')
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise InvalidArgument(f'parameter "{name}": value {value!r}: expected a whole number of 64 bits')
        return _tune.Parameter.choice(name, list(self.values), dict(self.when))


class Space:
    """Named parameters; `when={"opt": "sgd"}` makes one active only where that choice has that value. `constraints` are
    what they must keep to, as "batch * accumulate <= 512".

    Raises strop.InvalidArgument naming the parameter or constraint and what is wrong with it.
    """

    def __init__(self, parameters: Mapping[str, Float | Int | Choice] | None = None, constraints: Iterable[str] = ()):
        self.parameters = dict(parameters or {})
        self.constraints = [constraints] if isinstance(constraints, str) else list(constraints)
        made = []
        for name, domain in self.parameters.items():
            if not isinstance(domain, (Float, Int, Choice)):
                raise InvalidArgument(f'parameter "{name}": {domain!r}: expected Float, Int or Choice')
            try:
                made.append(domain._parameter(name))
            except InvalidArgument:
                raise
            except (TypeError, ValueError):
                raise InvalidArgument(f'parameter "{name}": {domain!r} has a value of a wrong type') from None
        self._space = _tune.Space(made, self.constraints)

    def check(self, params: Mapping) -> None:
        """Raises strop.InvalidArgument unless `params` is one configuration of the space."""
        self._space.check(dict(params))

    def __eq__(self, other):
        return isinstance(other, Space) and self._space == other._space

    def __reduce__(self):
        return Space, (self.parameters, self.constraints)

    def __repr__(self):
        constraints = f", {self.constraints!r}" if self.constraints else ""
        return f"Space({self.parameters!r}{constraints})"
