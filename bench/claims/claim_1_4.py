"""1.4: the governor finds the readers that a storage is worth, in seconds.

Three storages behind one Arrow file system (`strop feed bench --bandwidth --latency`): the page cache; a link of
200 MB/s; 50 ms before the first byte of each read. On each, every number of readers up to 16 (with latency up to 64, by
two from 16 on) is measured twice, in a shuffled order, and those within 15% of the fastest twice more; the knee is the
fewest readers that are surely within 5% of the fastest. Then the governor runs alone and says how many it settled on and
when. That number and the sweep's fastest take turns, and the governor's throughput as a share of the fastest's counts: in
the worst of the three storages the interval's lower end must reach 0.95, the search be over in 10 s, and the readers no
more than the knee. Sabotage: no governor; always one reader.
"""

import json
import os
import random
import subprocess
from pathlib import Path

import numpy as np
from features import feature_file
from measured import Measured, bootstrap_interval

TITLE = "The storage probe and governor reach 95% of the best number of readers in 10 s"
METRIC = "throughput of the governor's readers in the worst of three storages"
UNIT = "share of the exhaustive sweep's best"
ARTICLE = None
GOAL = 0.95
BASELINE = "one reader"

QUICK = os.environ.get("STROP_CLAIM_QUICK") == "1"  # for the tests of the claims: too short to decide anything
SECONDS = 0.6 if QUICK else 1.5
PAIRS = 2 if QUICK else 20
SETTLED_WITHIN = 10.0
TO_16 = list(range(1, 17))
STORAGES = {
    "page cache": (["--latency", "0"], TO_16),
    "200 MB/s": (["--bandwidth", "200"], TO_16),
    "50 ms": (["--latency", "50"], TO_16 + list(range(18, 65, 2))),
}


def bench(storage: list[str], workers: int, warm_up: float, seconds: float) -> dict:
    strop = Path(os.environ["STROP_BUILD"]).resolve() / "strop/bin/strop"
    done = subprocess.run([strop, "feed", "bench", feature_file(group_rows=512), "--shuffle", "--workers", str(workers), "--warm-up", str(warm_up),
                           "--seconds", str(seconds), "--json", *storage], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def rate(storage: list[str], workers: int) -> float:
    return bench(storage, workers, SECONDS / 3, SECONDS)["bytes_per_second"]


def sweep(storage: list[str], counts: list[int], rng: random.Random) -> tuple[int, int, dict]:
    """The fastest number of readers, the knee, and the throughput of each."""
    rates: dict[int, list[float]] = {count: [] for count in counts}

    def measure_each(turns: list[int]) -> dict:
        rng.shuffle(turns)
        for count in turns:
            rates[count].append(rate(storage, count))
        return {count: float(np.mean(values)) for count, values in rates.items()}

    mean = measure_each(counts * (1 if QUICK else 2))
    if not QUICK:
        mean = measure_each([count for count in counts if mean[count] >= 0.85 * max(mean.values())] * 2)
    best = max(mean, key=mean.__getitem__)
    spread = np.mean([abs(values[0] - values[-1]) / np.mean(values) for values in rates.values()])
    knee = next((count for count in mean if mean[count] * (1 - spread) >= 0.95 * mean[best]), best)
    return best, knee, mean


def measure_storage(storage: list[str], counts: list[int], sabotage: bool) -> dict:
    rng = random.Random(1)
    if QUICK:
        counts = [counts[0], counts[-1]]
    best, knee, mean = sweep(storage, counts, rng)
    if sabotage:
        chosen, settled, reason = 1, 0.0, "always one"
    else:
        run = bench(storage, 0, 0.1, SETTLED_WITHIN)
        chosen, settled, reason = run["workers"], run["settled_seconds"], run["workers_reason"]
    pairs = []
    for turn in range(PAIRS):
        first, second = (chosen, best) if turn % 2 else (best, chosen)
        seen = {first: rate(storage, first), second: rate(storage, second)} if chosen != best else {best: 1.0}
        pairs.append(seen[chosen] / seen[best])
    share, interval = float(np.mean(pairs)), bootstrap_interval(pairs)
    in_time = sabotage or 0 < settled <= SETTLED_WITHIN
    return {"best_readers": best, "best_bytes_per_second": mean[best], "one_reader": mean[1] / mean[best], "knee": knee,
            "readers": chosen, "settled_seconds": settled, "share": share, "interval": interval, "reason": reason,
            "holds": in_time and chosen <= knee and interval[0] >= GOAL}


def measure(sabotage: bool) -> Measured:
    found = {name: measure_storage(*storage, sabotage) for name, storage in STORAGES.items()}
    worst = min(found.values(), key=lambda one: one["interval"][0])
    baseline = min(one["one_reader"] for one in found.values())
    return Measured(worst["share"], baseline, worst["share"] / baseline, worst["interval"],
                    all(one["holds"] for one in found.values()), PAIRS * len(found), {"storages": found})
