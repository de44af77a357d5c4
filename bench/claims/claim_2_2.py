"""2.2: far fewer trials than random and grid search, and a better rank than every peer.

Trials: BBOB's 24 functions in 5 dimensions and the recorded tables of real trainings (bench/problems, suite "all"), 20
seeds. A problem's quality is the median of what random search reaches in 200 trials. Of each problem, the median trials
of Strop's default sampler to that quality (200 where 100 did not reach it) is compared with that of random or grid
search, whichever is lower; the median over problems of the trials saved counts.

Rank: after 50 trials on the suite "standard" (six functions, two of them in 10 dimensions, and four tables; none of the
suite that Strop's samplers were developed on), the mean over problems and seeds of the rank among Optuna's GP, TPE and
CMA-ES, SMAC3 and BoTorch. Their runs, and those of random and grid search, are stored in
bench/peers/results/tune.parquet with versions and command; Strop's are made here.

Problems are frozen, so the intervals are over the seeds of each. The claim holds when the bad end of the trials saved
meets the goal, and the bad end of the difference in mean rank to each peer is above 0. The record's "rank" and
"rank_lead" tell them. Sabotage: Strop's random sampler.
"""

import os

import tune_peers  # noqa: F401
import numpy as np
import results
import summary
from measured import Measured
from problems import suites
from studies import complete, run_all

TITLE = "70% fewer trials than random and grid search, and a better mean rank than every peer"
METRIC = "trials saved to the quality that random search reaches in 200, median over problems"
UNIT = "%"
ARTICLE = None
GOAL = 70.0
BASELINE = "random or grid search, the better one of each problem"

QUICK = os.environ.get("STROP_CLAIM_QUICK") == "1"
PEERS = ["optuna-gp", "optuna-tpe", "optuna-cmaes", "smac", "botorch"]
SEEDS = range(2 if QUICK else 20)
EQUAL, MOST, RANDOM = 50, 100, 200
TO_QUALITY = suites.names("small")[:4] if QUICK else suites.names("all")
RANKED = suites.names("small")[:4] if QUICK else suites.names("standard")


def savings(runs, ours, problems, targets, rng=None):
    """Percent of trials saved, the median over problems; with `rng`, of seeds drawn again."""
    saved = []
    for name in problems:
        seeds = rng.choice(SEEDS, len(SEEDS)) if rng else SEEDS
        median = {peer: np.median([summary.trials_to(runs[peer, name, int(seed)], targets[name], RANDOM) for seed in seeds])
                  for peer in (ours, "random", "grid")}
        saved.append(100 * (1 - median[ours] / min(median["random"], median["grid"])))
    return float(np.median(saved))


def lead(runs, ours):
    """How much better our mean rank is than each peer's, with intervals; None where a stored run is missing."""
    stored = results.load(EQUAL, stored_only=True)
    peers = [ours, *PEERS]
    runs = runs | {key: run for key, run in stored.items() if key[0] in PEERS}
    if complete(runs, peers, RANKED, SEEDS) != list(SEEDS):
        return None, None
    regrets = summary.at(runs, peers, {name: suites.load(name) for name in RANKED}, SEEDS, EQUAL)
    means, drawn = summary.mean_ranks(regrets), summary.resampled_ranks(regrets)
    low, high = summary.interval(drawn - drawn[:, :1])
    rank = {peer: round(float(mean), 3) for peer, mean in zip(peers, means)}
    return rank, {peer: [float(low[i]), float(high[i])] for i, peer in enumerate(peers) if i}


def measure(sabotage: bool) -> Measured:
    ours = "strop:random" if sabotage else "strop:auto"
    problems = {name: suites.load(name) for name in TO_QUALITY}
    runs = run_all(["random", "grid"], problems, SEEDS, RANDOM)
    targets = summary.targets(runs, TO_QUALITY, SEEDS, RANDOM)

    def enough(name):
        least = EQUAL if name in RANKED else 1
        return lambda trials, best: trials >= (least if name not in targets or best <= targets[name] else MOST)

    everything = {name: suites.load(name) for name in dict.fromkeys([*TO_QUALITY, *RANKED])}
    runs |= run_all([ours], everything, SEEDS, MOST, jobs=len(os.sched_getaffinity(0)), enough=enough)
    saved, rng = savings(runs, ours, TO_QUALITY, targets), np.random.default_rng(0)
    interval = np.quantile([savings(runs, ours, TO_QUALITY, targets, rng) for _ in range(200)], [0.025, 0.975]).tolist()
    rank, ahead = lead(runs, ours)
    ranked = ahead is not None and all(low > 0 for low, _ in ahead.values())
    return Measured(saved, 0.0, 100 / max(100 - saved, 0.5), interval, interval[0] >= GOAL and ranked,
                    len(SEEDS) * len(everything), {"rank": rank or "not told: stored runs are missing", "rank_lead": ahead})
