"""What a claim's measure() answers, and the interval that decides it."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Measured:
    ours: float
    baseline: float
    ratio: float  # above 1: ours is better
    interval: list[float]  # 95%, of what the goal speaks of
    holds: bool  # the bad end of the interval meets the goal
    n: int
    notes: dict = dataclasses.field(default_factory=dict)  # more fields of this claim's record


def bootstrap_interval(values, statistic=np.mean, resamples=2000, seed=0) -> list[float]:
    """The 95% percentile interval (Efron 1979) of a statistic of independent values."""
    values = np.asarray(values, float)
    rng = np.random.default_rng(seed)
    drawn = [statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(resamples)]
    return [float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))]
