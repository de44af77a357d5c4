"""A choice among functions of BBOB, each with parameters of its own, which are active only where it is chosen.

The functions are one function's first instances, so that every branch has its optimum elsewhere; how far a branch's optimum
lies above the best one's grows evenly, to half the spread of the function's random values, in an order of its own.
"""

from functools import cache

import numpy as np

from problems import bbob
from problems.problem import Problem, draw

EACH = 3  # parameters of a branch


@cache
def load(function, branches):
    inner = [bbob.load(function, EACH, instance) for instance in range(1, branches + 1)]
    rng = np.random.default_rng(function)
    values = np.array([inner[0].evaluate(draw(inner[0].space, rng)) for _ in range(1000)])
    handicaps = rng.permutation(branches) / branches * float(np.median(values) - inner[0].optimum)
    names = [[f"b{branch}_{one['name']}" for one in inner[branch].space] for branch in range(branches)]
    space = [{"name": "branch", "type": "choice", "values": list(range(branches))}]
    for branch, own in enumerate(names):
        space += [{**one, "name": name, "when": {"branch": branch}} for one, name in zip(inner[branch].space, own)]

    def evaluate(params):
        branch = params["branch"]
        values = {one["name"]: params[name] for one, name in zip(inner[branch].space, names[branch])}
        return inner[branch].evaluate(values) - inner[branch].optimum + handicaps[branch]

    return Problem(f"branches_f{function:02}_{branches}", space, evaluate, 0.0)
