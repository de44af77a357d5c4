"""2.1: sixty random trials are enough for the top 5% of a space.

10,000 studies of the sampler `random`, in turn on the recorded tables of real trainings (bench/problems/tables): each
asks for 60 trials under a seed of its own. A study has reached the top 5% when less than 5% of the table's space, by the
probability of a random draw, is better than its best trial. The interval is Wilson's, of a binomial share. 60
independent draws would reach it in 1 - 0.95^60 of the studies; a study draws no configuration twice.

Sabotage: six random trials, each asked for ten times.
"""

import math
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from measured import Measured

from strop.tune import Choice, Int, Study

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from problems import tables  # noqa: E402
from problems.suites import TABLES  # noqa: E402

TITLE = "60 random trials reach the top 5% of the space"
METRIC = "studies that reach the top 5%"
UNIT = "share"
ARTICLE = None
GOAL = 0.95
BASELINE = "60 independent draws"

TRIALS = 60
TOP = 0.05
REPLAYS = 400 if os.environ.get("STROP_CLAIM_QUICK") == "1" else 10_000


def space_of(table):
    return {one["name"]: Choice(one["values"], when=one.get("when", {})) if one["type"] == "choice"
            else Int(one["low"], one["high"], when=one.get("when", {})) for one in table.space}


def reaches(name, seed, trials):
    table = tables.load(name)
    enough = table.best(TOP)
    study = Study(space_of(table), sampler="random", seed=seed)
    for _ in range(trials):
        trial = study.ask()
        value = table.value(trial.params)
        if value <= enough:
            return True
        study.tell(trial, value)
    return False


def wilson(successes, n, z=1.959964):
    share, spread = successes / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return [middle - half, middle + half]


def measure(sabotage: bool) -> Measured:
    studies = [TABLES[seed % len(TABLES)] for seed in range(REPLAYS)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        reached = list(pool.map(reaches, studies, range(REPLAYS), [6 if sabotage else TRIALS] * REPLAYS, chunksize=50))
    share, expected = sum(reached) / REPLAYS, 1 - (1 - TOP) ** TRIALS
    interval = wilson(sum(reached), REPLAYS)
    by_table = {name: sum(one for one, of in zip(reached, studies) if of == name) / studies.count(name) for name in TABLES}
    return Measured(share, expected, (1 - expected) / max(1 - share, 1 / REPLAYS), interval, interval[0] >= GOAL, REPLAYS,
                    {"tables": by_table})
