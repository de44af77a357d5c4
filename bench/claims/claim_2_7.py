"""2.7: a suggestion takes milliseconds, however long the study.

gp   on BBOB's Rosenbrock function in 10 dimensions: after 100, 500 and 1,000 finished trials, what it takes to tell the
     last value and to suggest the next configuration, with the surrogate refitted: the median of several, after two that
     do not count. The trials before are the random sampler's. Strop's study lies in a file, Optuna's in memory.
tpe  1,000 trials of 40 parameters of the sum of squares, asked, computed and told in one loop of the tuner's process.

Every tuner is a process of its own, pinned to one core, in one run; how the peers are set up is in the docstrings of
bench/peers/tune. What counts is the largest share of a limit; the claim holds when the upper end of its interval is
below 1. A sampler that Strop does not have fails the claim. Peers that are not installed are named in the record.
Sabotage: Optuna in Strop's place.
"""

import os

import tune_peers  # noqa: F401
import numpy as np
from measured import Measured, bootstrap_interval
from peer import Peer, PeerError
from problems import suites

TITLE = "GP suggestions within 20 ms, 150 ms and 1 s at 100, 500 and 1,000 trials; 1,000 trials of TPE within 0.3 s"
METRIC = "largest share of a limit"
UNIT = "share"
ARTICLE = None
GOAL = 1.0
BASELINE = "Optuna's GPSampler and TPESampler"

QUICK = os.environ.get("STROP_CLAIM_QUICK") == "1"
GP_LIMITS = {100: 0.02} if QUICK else {100: 0.02, 500: 0.15, 1000: 1.0}
TPE_LIMIT, TPE_TRIALS = (0.06, 200) if QUICK else (0.3, 1000)
CORE = max(os.sched_getaffinity(0))
GP = ("strop:gp", "optuna-gp")
TPE = ("strop:tpe", "optuna-tpe", "rustuna-tpe")
# How many suggestions, and studies of TPE, are timed; of a peer that takes seconds for one, fewer.
COUNTS = {"strop:gp": {100: 20, 500: 10, 1000: 5},
          "optuna-gp": {100: 3, 500: 2, 1000: 1}}
TPE_RUNS = {peer: 1 for peer in TPE} if QUICK else {"strop:tpe": 11, "optuna-tpe": 1, "rustuna-tpe": 3}


class Study:
    """Trials of a problem, one after the other."""

    def __init__(self, child, problem):
        self.child, self.problem, self.value, self.finished = child, problem, None, 0

    def step(self):
        answer = self.child.call("next", value=self.value, patience=240)
        self.finished += self.value is not None
        self.value = self.problem.evaluate(answer["params"])
        return answer["seconds"]


def gp_seconds(peer):
    """By number of finished trials, the seconds of suggestions."""
    problem, found = suites.load("bbob_f08_10d"), {}
    with Peer(peer, core=CORE) as child:
        child.call("open", space=problem.space, option="random", seed=1, trials=1100, changes=True)
        study = Study(child, problem)
        for trials in GP_LIMITS:
            child.call("change", option="random")
            while study.finished < trials - 2:
                study.step()
            child.call("change", option=child.option)
            for _ in range(2):
                study.step()
            found[trials] = [study.step() for _ in range(COUNTS[peer][trials])]
    return found


def tpe_seconds(peer):
    """Of whole studies."""
    problem, found = suites.load("bbob_f01_40d"), []
    with Peer(peer, core=CORE) as child:
        for seed in range(TPE_RUNS[peer]):
            child.call("open", space=problem.space, option=child.option, seed=seed, trials=TPE_TRIALS)
            found.append(child.call("loop", trials=TPE_TRIALS, patience=240)["seconds"])
    return found


def timed(measure_one, peers):
    found, missing = {}, {}
    for peer in peers:
        try:
            found[peer] = measure_one(peer)
        except PeerError as error:
            missing[peer] = str(error)
    return found, missing


def shares(gp, tpe, names):
    """Of each limit, the seconds of one tuner as shares of it; an unknown one is over it."""
    found = [np.array(seconds) / GP_LIMITS[trials] for trials, seconds in gp.get(names[0], {100: [2 * GP_LIMITS[100]]}).items()]
    return [*found, np.array(tpe.get(names[1], [2 * TPE_LIMIT])) / TPE_LIMIT]


def measure(sabotage: bool) -> Measured:
    gp, no_gp = timed(gp_seconds, GP)
    tpe, no_tpe = timed(tpe_seconds, TPE)
    peers = ("optuna-gp", "optuna-tpe")
    ours, theirs = (shares(gp, tpe, names) for names in (peers if sabotage else ("strop:gp", "strop:tpe"), peers))
    worst = max(ours, key=lambda one: bootstrap_interval(one, np.median)[1])
    interval = bootstrap_interval(worst, np.median)
    ratio = min(float(np.median(b) / np.median(a)) for a, b in zip(ours, theirs))
    milliseconds = {peer: {trials: round(1e3 * float(np.median(seconds)), 2) for trials, seconds in found.items()}
                    for peer, found in gp.items()}
    return Measured(float(np.median(worst)), float(max(np.median(one) for one in theirs)), ratio, interval,
                    interval[1] < GOAL and not (no_gp | no_tpe).keys() & {"strop:gp", "strop:tpe"}, len(worst),
                    {"gp_milliseconds": milliseconds, "tpe_seconds": {peer: round(float(np.median(one)), 3)
                                                                      for peer, one in tpe.items()},
                     "missing": no_gp | no_tpe})
