"""A problem and the neutral description of its space.

A space is a list of parameters, plain JSON, in which a parent stands before its children:

    {"name": "lr", "type": "float", "low": 1e-5, "high": 0.1, "log": true}
    {"name": "layers", "type": "int", "low": 1, "high": 8}
    {"name": "opt", "type": "choice", "values": ["sgd", "adam"]}

each with an optional "when": {NAME: VALUE}: active only where that choice has that value. A configuration has the
active parameters and no others.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


def active(parameter, params):
    return all(params.get(name) == value for name, value in parameter.get("when", {}).items())


def draw_value(parameter, rng):
    if parameter["type"] == "choice":
        return parameter["values"][rng.integers(len(parameter["values"]))]
    if parameter["type"] == "int":
        return int(rng.integers(parameter["low"], parameter["high"] + 1))
    low, high = parameter["low"], parameter["high"]
    return math.exp(rng.uniform(math.log(low), math.log(high))) if parameter.get("log") else rng.uniform(low, high)


def draw(space, rng):
    """A random configuration: every active parameter uniform in its range, or in its logarithm."""
    params = {}
    for parameter in space:
        if active(parameter, params):
            params[parameter["name"]] = draw_value(parameter, rng)
    return params


def values(parameter):
    """All values of a parameter that is not continuous."""
    if parameter["type"] == "choice":
        return parameter["values"]
    return range(parameter["low"], parameter["high"] + 1)


def configurations(space, params=None):
    """Every configuration of a space without floats, the last parameter fastest, each with its probability under `draw`."""
    if not space:
        yield dict(params or {}), 1.0
        return
    first, rest, params = space[0], space[1:], params or {}
    if not active(first, params):
        yield from configurations(rest, params)
        return
    options = values(first)
    for value in options:
        for configuration, probability in configurations(rest, params | {first["name"]: value}):
            yield configuration, probability / len(options)


@dataclass(frozen=True)
class Problem:
    """Lower values are better. The answer is a pure function of the parameters."""

    name: str
    space: list
    evaluate: Callable[[dict], float]
    optimum: float

    @cached_property
    def scale(self):
        """How far from the optimum the best tenth of random configurations begins: regrets are told in it."""
        rng = np.random.default_rng(0)
        drawn = [self.evaluate(draw(self.space, rng)) for _ in range(1000)]
        return float(np.quantile(drawn, 0.1)) - self.optimum or 1.0
