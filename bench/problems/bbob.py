"""The 24 noiseless functions of BBOB (Hansen, Finck, Ros and Auger 2009), as the package ioh has them.

Each is [-5, 5] in every dimension, minimised; its optimum is known. The first instance of each is used: seeds differ
in the tuner alone.
"""

from functools import cache

from problems.problem import Problem

FUNCTIONS = range(1, 25)


@cache
def load(function, dimension, instance=1):
    import ioh

    inner = ioh.get_problem(function, instance, dimension, ioh.ProblemClass.BBOB)
    names = [f"x{i:02}" for i in range(dimension)]
    space = [{"name": name, "type": "float", "low": -5.0, "high": 5.0, "log": False} for name in names]

    def evaluate(params):
        return float(inner([params[name] for name in names]))

    return Problem(f"bbob_f{function:02}_{dimension}d", space, evaluate, float(inner.optimum.y))
