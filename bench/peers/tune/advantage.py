"""How far each of Strop's samplers is ahead of random search, by the number of parameters or of conditional branches.

    PYTHONPATH=build/dev .venv/bin/python bench/peers/tune/advantage.py --jobs 2 --plot docs/tune_dimensions.svg
    PYTHONPATH=build/dev .venv/bin/python bench/peers/tune/advantage.py --by branches --jobs 2 --plot docs/tune_branches.svg

On one function of each of BBOB's five groups, or a choice among instances of it (bench/problems/branches.py), after
--trials trials: the factor by which the regret is below that of random search at equal trials, the geometric mean over
functions and seeds, with its 95% interval over seeds. The router's limits (src/strop/tune/router.h) are read from it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import numpy as np  # noqa: E402
import summary  # noqa: E402
from problems import suites  # noqa: E402
from studies import run_all  # noqa: E402

FUNCTIONS = [1, 8, 12, 15, 21]
# What is varied: the values, and the names of the problems of one.
AXES = {"parameters": ([5, 10, 15, 20, 50, 100], lambda size: suites.functions(size, FUNCTIONS)),
        "branches": ([2, 4, 8, 16], lambda size: suites.branches_of(size, FUNCTIONS))}
RANDOM = "strop:random"


def advantage(runs, peer, problems, seeds, trials):
    """The factor, and its interval."""
    regrets = summary.at(runs, [RANDOM, peer], problems, seeds, trials)
    logs = np.log(regrets[0] / regrets[1])
    rng = np.random.default_rng(0)
    drawn = [logs[:, rng.integers(len(seeds), size=len(seeds))].mean() for _ in range(1000)]
    return [float(np.exp(value)) for value in (logs.mean(), *np.quantile(drawn, [0.025, 0.975]))]


def plot(found, axis, sizes, path):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "strop"
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    for peer, rows in found.items():
        middle, low, high = np.array(rows).T
        axes.plot(sizes, middle, marker="o", label=peer.removeprefix("strop:"))
        axes.fill_between(sizes, low, high, alpha=0.15)
    axes.set(xscale="log", yscale="log", xlabel=axis, ylabel="regret of random search / regret",
             xticks=sizes, xticklabels=sizes)
    axes.minorticks_off()
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", default=["strop:gp", "strop:tpe", "strop:cmaes"])
    parser.add_argument("--by", choices=AXES, default="parameters")
    parser.add_argument("--sizes", nargs="+", type=int, help="how many of them; those of the table in docs/tune.md")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1, help="studies at a time")
    parser.add_argument("--plot", help="an SVG file")
    arguments = parser.parse_args()
    sizes, problems_of = AXES[arguments.by]
    sizes = arguments.sizes or sizes
    found, seeds = {peer: [] for peer in arguments.peers}, range(arguments.seeds)
    print(f"| {arguments.by} | " + " | ".join(arguments.peers) + " |\n| ---: |" + " ---: |" * len(arguments.peers))
    for size in sizes:
        problems = {name: suites.load(name) for name in problems_of(size)}
        runs = run_all([RANDOM, *arguments.peers], problems, seeds, arguments.trials, arguments.jobs, subprocess.DEVNULL)
        for peer in arguments.peers:
            found[peer].append(advantage(runs, peer, problems, seeds, arguments.trials))
        cells = (f"{middle:.2f} [{low:.2f}, {high:.2f}]" for middle, low, high in (found[peer][-1] for peer in arguments.peers))
        print(f"| {size} | " + " | ".join(cells) + " |", flush=True)
    if arguments.plot:
        plot(found, arguments.by, sizes, arguments.plot)


if __name__ == "__main__":
    main()
