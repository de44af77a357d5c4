"""What runs say together. `runs` are of results.py, by (peer, problem, seed); `problems` are objects, by name."""

import numpy as np

EQUAL = 1e-8  # BBOB's last target: regrets below it are all the same


def at(runs, peers, problems, seeds, trials):
    """Regrets [peer, problem, seed] after so many trials."""
    regrets = [[[runs[peer, name, seed].best[:trials][-1] - problem.optimum for seed in seeds]
                for name, problem in problems.items()] for peer in peers]
    return np.maximum(np.array(regrets, float), EQUAL)


def ranks(regrets):
    """Of the peers in each problem and seed, 1 the best; equal ones share the mean of their ranks."""
    less = (regrets[None] < regrets[:, None]).sum(1)
    same = (regrets[None] == regrets[:, None]).sum(1)
    return less + (same + 1) / 2


def mean_ranks(regrets):
    return ranks(regrets).mean((1, 2))


def resampled_ranks(regrets, resamples=1000, seed=0):
    """Mean ranks [resample, peer] with each problem's seeds drawn again: the problems stay what they are."""
    rng, given = np.random.default_rng(seed), ranks(regrets)
    _, problems, seeds = given.shape
    rows = np.arange(problems)[:, None]
    return np.array([given[:, rows, rng.integers(seeds, size=(problems, seeds))].mean((1, 2)) for _ in range(resamples)])


def interval(drawn):
    return np.quantile(drawn, [0.025, 0.975], axis=0)


def normalised(regrets, problems):
    """Mean regrets of the peers in units of a problem's scale: 1 is where the best tenth of random trials begins."""
    scales = np.array([problem.scale for problem in problems.values()])
    return (regrets / scales[:, None]).mean((1, 2))


def trials_to(run, target, budget):
    """How many trials reached the target; the budget when none did."""
    reached = np.flatnonzero(run.best[:budget] <= target)
    return int(reached[0]) + 1 if len(reached) else budget


def targets(runs, problems, seeds, trials=200):
    """By problem, what random search reaches in so many trials: the median over seeds."""
    return {name: float(np.median([runs["random", name, seed].best[:trials][-1] for seed in seeds])) for name in problems}
