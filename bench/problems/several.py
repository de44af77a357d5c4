"""Problems of several objectives, all minimised, with the point from which a hypervolume counts.

zdt1, zdt2, zdt3  6 parameters, 2 objectives (Zitzler, Deb and Thiele 2000)
dtlz2             6 parameters, 3 objectives (Deb, Thiele, Laumanns and Zitzler 2002)
branin_currin     2 parameters, 2 objectives (Belakaria, Deshwal and Doppa 2019)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Several:
    """`evaluate` answers one value an objective."""

    name: str
    space: list
    evaluate: Callable[[dict], list]
    reference: list


def unit(count):
    return [{"name": f"x{i:02}", "type": "float", "low": 0.0, "high": 1.0, "log": False} for i in range(count)]


def zdt(shape):
    def evaluate(params):
        first, *rest = params.values()
        g = 1 + 9 * sum(rest) / len(rest)
        return [first, g * shape(first, g)]

    return evaluate


def dtlz2(params):
    values = list(params.values())
    g = sum((x - 0.5) ** 2 for x in values[2:])
    a, b = (0.5 * math.pi * x for x in values[:2])
    return [(1 + g) * math.cos(a) * math.cos(b), (1 + g) * math.cos(a) * math.sin(b), (1 + g) * math.sin(a)]


def branin_currin(params):
    x, y = params["x00"], params["x01"]
    a, b = 15 * x - 5, 15 * y
    branin = (b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10
    damp = 1 - math.exp(-1 / (2 * y)) if y > 0 else 1.0
    currin = damp * (2300 * x**3 + 1900 * x * x + 2092 * x + 60) / (100 * x**3 + 500 * x * x + 4 * x + 20)
    return [branin, currin]


PROBLEMS = {problem.name: problem for problem in [
    Several("zdt1", unit(6), zdt(lambda x, g: 1 - math.sqrt(x / g)), [11.0, 11.0]),
    Several("zdt2", unit(6), zdt(lambda x, g: 1 - (x / g) ** 2), [11.0, 11.0]),
    Several("zdt3", unit(6), zdt(lambda x, g: 1 - math.sqrt(x / g) - x / g * math.sin(10 * math.pi * x)), [11.0, 11.0]),
    Several("dtlz2", unit(6), dtlz2, [1.1, 1.1, 1.1]),
    Several("branin_currin", unit(2), branin_currin, [18.0, 6.0]),
]}
