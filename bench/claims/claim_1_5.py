"""1.5: tracing costs next to nothing.

A loader traces nothing, 1% of its batches or every batch, in turn epoch by epoch in an order that rotates; nothing
consumes the rows, so the loader's own work is all there is to slow down. Where a loader's buffers happen to lie costs
more than tracing does, so one loader takes all turns, and each block makes it anew. The overhead of a block is the
relative difference of the median epochs to that with nothing traced; the mean over the blocks counts, without the outer
fifth on each side, in which the machine did something else. Sabotage: when it should sample it traces every batch and
writes the whole trace out after the epoch.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from measured import Measured, bootstrap_interval

import strop

TITLE = "Sampled tracing costs less than half a percent"
METRIC = "overhead of tracing 1% of the batches"
UNIT = "% of an epoch's time"
ARTICLE = None
GOAL = 0.5
BASELINE = "every batch traced"

BLOCKS = int(os.environ.get("STROP_CLAIM_BLOCKS", 400))
EPOCHS = 24  # of each share in a block
SHARES = {"off": 0.0, "sampled": 0.01, "full": 1.0}
DATA = Path(__file__).resolve().parents[2] / "build/data/fashion/train.parquet"


def trimmed_mean(values):
    values = np.sort(values)
    cut = len(values) // 5
    return values[cut : len(values) - cut].mean()


def block(sabotage: bool, turn: int, scratch: Path) -> dict:
    """Median seconds of an epoch with each share."""
    shares = SHARES | ({"sampled": 1.0} if sabotage else {})
    names = list(shares)[turn % 3 :] + list(shares)[: turn % 3]
    loader = strop.feed.Loader(DATA, shuffle=True, seed=1, workers=1, format="numpy")
    times = {name: [] for name in names}
    for epoch in range(EPOCHS + 2):
        for name in names[epoch % 3 :] + names[: epoch % 3]:
            loader.set_trace(shares[name])
            begin = time.perf_counter()
            for _ in loader:
                pass
            if sabotage and name == "sampled":
                loader.save_trace(scratch)
            if epoch >= 2:  # warm by then
                times[name].append(time.perf_counter() - begin)
    return {name: float(np.median(seconds)) for name, seconds in times.items()}


def measure(sabotage: bool) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        blocks = [block(sabotage, turn, Path(folder) / "trace.json") for turn in range(BLOCKS)]
    overhead = {name: np.array([100 * (one[name] / one["off"] - 1) for one in blocks]) for name in ("sampled", "full")}
    interval = bootstrap_interval(overhead["sampled"], trimmed_mean)
    ours, full = (float(trimmed_mean(overhead[name])) for name in ("sampled", "full"))
    return Measured(ours, full, (100 + full) / (100 + ours), interval, interval[1] < GOAL, BLOCKS)
