"""Recorded tables of real trainings: the value of every configuration of a space (record.py makes them).

The numbers of a space are given as steps, evenly spaced in the number or its logarithm: a parameter of 13 values is an
int from 0 to 12, and "at" lists what was trained with. So every tuner searches the same finite space, and a table has
the exact answer to whatever it asks; none needs a nearest neighbour or a surrogate.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from problems.problem import Problem, configurations

FOLDER = Path(__file__).resolve().parent / "tables"


def key(params):
    return tuple(sorted(params.items()))


@dataclass(frozen=True)
class Table:
    """Rows are the space's configurations in order; `probability` is that of a random draw."""

    name: str
    space: list
    metric: str
    values: np.ndarray
    seconds: np.ndarray
    probability: np.ndarray
    rows: dict

    def value(self, params):
        return float(self.values[self.rows[key(params)]])

    def best(self, share):
        """The largest value that belongs to the best share of the space: less than that share of it is better."""
        order = np.argsort(self.values, kind="stable")
        mass = np.cumsum(self.probability[order])
        return float(self.values[order][np.searchsorted(mass, share)])

    def problem(self):
        return Problem(self.name, self.space, self.value, float(self.values.min()))


def names():
    return sorted(path.stem for path in FOLDER.glob("*.parquet"))


@cache
def load(name):
    import pyarrow.parquet as parquet

    stored = parquet.read_table(FOLDER / f"{name}.parquet")
    about = json.loads(stored.schema.metadata[b"table"])
    found = list(configurations(about["space"]))
    rows = {key(params): row for row, (params, _) in enumerate(found)}
    if len(rows) != len(stored):
        raise SystemExit(f"{name}.parquet has {len(stored)} rows, its space {len(rows)} configurations")
    return Table(name, about["space"], about["metric"], stored["value"].to_numpy().astype(float),
                 stored["seconds"].to_numpy().astype(float), np.array([one for _, one in found]), rows)
