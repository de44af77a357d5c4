"""When a Monte Carlo acquisition pays: noisy LogEI beside the closed-form LogEI, by the time that a trial takes.

    PYTHONPATH=build/dev .venv/bin/python bench/peers/tune/gains.py --plot docs/tune_gains.svg

On functions of BBOB in 5 dimensions, exact or with normal noise of a tenth of a problem's scale, with one trial or eight at
a time. A study is judged by the true value of the trial that it holds for the best. Told are the geometric means over
functions and seeds of the regret after all trials, what a suggestion takes, the trial at which the Monte Carlo acquisition has
reached what the closed form ends with, and from which seconds a trial on it is the quicker way there ("never": it does
not reach it; "always": it gets there sooner whatever a trial takes).
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import numpy as np  # noqa: E402
from problems import suites  # noqa: E402

from strop.tune import Float, Study  # noqa: E402
from strop.tune.samplers import GPSampler  # noqa: E402

FUNCTIONS = [1, 8, 12, 15, 21]
GAINS = ("log_ei", "noisy_log_ei")
SETTINGS = {"exact, one at a time": (0.0, 1), "exact, eight at a time": (0.0, 8), "noisy, one at a time": (0.1, 1),
            "noisy, eight at a time": (0.1, 8)}


def regrets(gain, name, noise, parallel, seed, trials):
    """True regret of the best trial after each, and the seconds of a suggestion."""
    problem = suites.load(name)
    rng = np.random.default_rng(seed)
    study = Study({one["name"]: Float(one["low"], one["high"]) for one in problem.space}, sampler=GPSampler(acquisition=gain),
                  seed=seed)
    seconds, curve, best, true = [], [], np.inf, np.nan
    while len(curve) < trials:
        asked = []
        for _ in range(parallel):
            begin = time.perf_counter()
            asked.append(study.ask())
            seconds.append(time.perf_counter() - begin)
        for trial in asked:
            value = problem.evaluate(trial.params)
            told = value + noise * problem.scale * rng.standard_normal()
            study.tell(trial, told)
            if told < best:
                best, true = told, value
            curve.append(max(true - problem.optimum, 1e-8))
    return curve[:trials], float(np.mean(seconds))


def measure(gain, noise, parallel, seeds, trials, pool):
    """The geometric mean of the curves, and the mean seconds of a suggestion."""
    asked = [pool.submit(regrets, gain, name, noise, parallel, seed, trials)
             for name in suites.functions(5, FUNCTIONS) for seed in range(seeds)]
    curves, seconds = zip(*(one.result() for one in asked))
    return np.exp(np.log(curves).mean(0)), float(np.mean(seconds))


def crossover(closed, monte_carlo):
    """The trial at which Monte Carlo has reached the closed form's end, and the seconds a trial from which it pays."""
    (curve, seconds), (other, other_seconds) = closed, monte_carlo
    reached = np.flatnonzero(other <= curve[-1])
    if not len(reached) or reached[0] + 1 >= len(curve):
        return None, np.inf
    count, needed = len(curve), int(reached[0]) + 1
    return needed, max(0.0, (needed * other_seconds - count * seconds) / (count - needed))


def plot(found, path):
    """The time of both ways by the time of a trial."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "strop"
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    trial_seconds = np.logspace(-3, 3, 100)
    for setting, (closed, monte_carlo) in found.items():
        needed, _ = crossover(closed, monte_carlo)
        if needed is not None:
            count = len(closed[0])
            axes.plot(trial_seconds, needed * (trial_seconds + monte_carlo[1]) / (count * (trial_seconds + closed[1])), label=setting)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="seconds of a trial", ylabel="time of Monte Carlo / closed form")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--plot", help="an SVG file")
    arguments = parser.parse_args()
    found = {}
    print("| | closed form: regret | ms | Monte Carlo: regret | ms | reached at trial | pays from |\n" + "|---|" + "---:|" * 6)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for setting, (noise, parallel) in SETTINGS.items():
            closed, monte_carlo = found[setting] = [measure(gain, noise, parallel, arguments.seeds, arguments.trials, pool)
                                                    for gain in GAINS]
            needed, seconds = crossover(closed, monte_carlo)
            pays = "never" if needed is None else "always" if seconds == 0 else f"{seconds:.2f} s"
            print(f"| {setting} | {closed[0][-1]:.3g} | {1e3 * closed[1]:.1f} | {monte_carlo[0][-1]:.3g} | "
                  f"{1e3 * monte_carlo[1]:.1f} | {needed or '-'} of {arguments.trials} | {pays} |", flush=True)
    if arguments.plot:
        plot(found, arguments.plot)


if __name__ == "__main__":
    main()
