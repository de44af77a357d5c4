"""Several objectives at a time: Strop's GP beside Optuna's GP, TPE and NSGA-II, and random search.

    make peers NAME=optuna
    PYTHONPATH=build/dev .venv/bin/python bench/peers/tune/objectives.py --seeds 10 --trials 60 --jobs 2

On each problem of bench/problems/several.py, the hypervolume that the trials dominate, the mean over seeds, as a share of
the largest that any study of the run has reached; the mean rank over problems and seeds with its 95% interval over
seeds; and the median milliseconds of a suggestion.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import numpy as np  # noqa: E402
import summary  # noqa: E402
from peer import Peer  # noqa: E402
from problems.several import PROBLEMS  # noqa: E402


def hypervolume(rows, reference):
    """By slabs of the last objective."""
    rows = sorted((row for row in rows if all(a < b for a, b in zip(row, reference))), key=lambda row: row[-1])
    if len(reference) == 1:
        return reference[0] - rows[0][0] if rows else 0.0
    volume = 0.0
    for k, row in enumerate(rows):
        top = rows[k + 1][-1] if k + 1 < len(rows) else reference[-1]
        if top > row[-1]:
            volume += (top - row[-1]) * hypervolume([one[:-1] for one in rows[: k + 1]], reference[:-1])
    return volume


def run(peer, problem, seed, trials):
    """The hypervolume in the end, and the seconds of each suggestion."""
    with Peer(peer) as child:
        child.call("open", space=problem.space, option=child.option, seed=seed, trials=trials,
                   objectives=len(problem.reference))
        values, seconds = [], []
        for _ in range(trials):
            answer = child.call("next", value=values[-1] if values else None)
            values.append(problem.evaluate(answer["params"]))
            seconds.append(answer["seconds"])
    return hypervolume(values, problem.reference), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", default=["strop:gp", "optuna-gp", "optuna-tpe", "optuna-nsga", "strop:random"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1, help="studies at a time")
    arguments = parser.parse_args()
    keys = [(peer, name, seed) for peer in arguments.peers for name in PROBLEMS for seed in range(arguments.seeds)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        made = dict(zip(keys, pool.map(lambda key: run(key[0], PROBLEMS[key[1]], key[2], arguments.trials), keys)))
    volumes = np.array([[[made[peer, name, seed][0] for seed in range(arguments.seeds)] for name in PROBLEMS]
                        for peer in arguments.peers])
    ranks = summary.mean_ranks(-volumes)
    low, high = summary.interval(summary.resampled_ranks(-volumes))
    shares = volumes.mean(2) / volumes.max((0, 2))
    print("| | " + " | ".join(PROBLEMS) + " | mean rank | ms |\n|---|" + " ---: |" * (len(PROBLEMS) + 2))
    for i in ranks.argsort():
        peer = arguments.peers[i]
        milliseconds = 1e3 * np.median(np.concatenate([made[key][1] for key in keys if key[0] == peer]))
        print(f"| {peer} | " + " | ".join(f"{share:.3f}" for share in shares[i]) +
              f" | {ranks[i]:.2f} [{low[i]:.2f}, {high[i]:.2f}] | {milliseconds:.1f} |")


if __name__ == "__main__":
    main()
