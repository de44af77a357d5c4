"""Random search and grid search, as a user without a tuner writes them.

random  every parameter uniform, or uniform in its logarithm; no configuration twice where the space is finite.
grid    as many levels for every number as the trials allow, in random order. Levels are spread evenly, at the middles
        of equal parts; an int has no more than its values. It ends when the grid does.
"""

import math

import numpy as np
from problems.problem import active, draw

PACKAGES = ("numpy",)


class Tuner:
    def __init__(self, space, option, seed, trials):
        self.space, self.rng = space, np.random.default_rng(seed)
        self.ask = self.random if option == "random" else self.grid
        self.seen = set() if all(one["type"] != "float" for one in space) else None
        if option == "grid":
            points = grid(space, trials)
            self.points = iter([points[i] for i in self.rng.permutation(len(points))])

    def random(self):
        for _ in range(10000):
            params = draw(self.space, self.rng)
            if self.seen is None:
                return params
            known = tuple(sorted(params.items()))
            if known not in self.seen:
                self.seen.add(known)
                return params
        return None  # as good as exhausted

    def grid(self):
        return next(self.points, None)

    def tell(self, value):
        pass


def levels(parameter, count):
    if parameter["type"] == "choice":
        return parameter["values"]
    low, high = parameter["low"], parameter["high"]
    shares = [(i + 0.5) / count for i in range(count)]
    if parameter["type"] == "int":
        return [low + int(share * (high - low + 1)) for share in shares]
    if parameter.get("log"):
        return [math.exp(math.log(low) + share * math.log(high / low)) for share in shares]
    return [low + share * (high - low) for share in shares]


def points_of(space, counts, params=None):
    if not space:
        return [params]
    first, params = space[0], params or {}
    if not active(first, params):
        return points_of(space[1:], counts, params)
    return [point for value in levels(first, counts[first["name"]])
            for point in points_of(space[1:], counts, params | {first["name"]: value})]


def grid(space, trials):
    """The grid that the trials fill best: one number after the other gets another level while they suffice."""
    counts = {one["name"]: 1 for one in space}
    numbers = [one for one in space if one["type"] != "choice"]
    best = points_of(space, counts)
    while numbers:
        for one in list(numbers):
            most = one["high"] - one["low"] + 1 if one["type"] == "int" else math.inf
            more = counts | {one["name"]: counts[one["name"]] + 1}
            points = points_of(space, more) if more[one["name"]] <= most else None
            if points is None or len(points) > trials:
                numbers.remove(one)
            else:
                counts, best = more, points
    return best
