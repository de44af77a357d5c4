"""1.2: slices that fit the reader's share of L3, and 64-byte alignment, make decoding and normalising faster.

Two factors, each alone and both: a column of a row group of 64 MiB is read, decoded and normalised in slices of the size
that the placement plans on this machine, or whole; and written to batches that begin on a cache line, or 49 bytes past one
rounded up to whole floats (52), as buffers off the network lie (docs/feed.md). One thread, the reader's own code
(`strop_feed_cache_effect`); the four take turns, pass by pass. An effect is the time saved against whole and misaligned:
the median over the passes, paired. At least 15% together. Cache misses are told where the machine counts them. Sabotage:
what should be slices is whole, too.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
from features import feature_file
from measured import Measured, bootstrap_interval

TITLE = "Cache-sized slices and aligned batches save at least 15% of decoding and normalising"
METRIC = "time saved by both"
UNIT = "% of the time of whole row groups to misaligned batches"
ARTICLE = None
GOAL = 15.0
BASELINE = "whole row groups, misaligned batches"

PASSES = int(os.environ.get("STROP_CLAIM_BLOCKS", 60))
MISALIGNED = 52


def build() -> Path:
    return Path(os.environ["STROP_BUILD"]).resolve()


def planned_slice(path: Path) -> int:
    done = subprocess.run([build() / "strop/bin/strop", "feed", "probe", path, "--seconds", "0.01", "--json"],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["placement"]["readers"][0]["chunk_bytes"]


def measure(sabotage: bool) -> Measured:
    path = feature_file(group_rows=32768)
    slice_bytes = 0 if sabotage else planned_slice(path)
    # A configuration may be named once: without slices (sabotage) 0 and 1 GiB both are whole row groups.
    whole, sliced = 0, slice_bytes or 1 << 30
    names = [f"{size}:{offset}" for size in (whole, sliced) for offset in (0, MISALIGNED)]
    done = subprocess.run([build() / "src/strop/feed/strop_feed_cache_effect", path, "x", str(PASSES), *names],
                          capture_output=True, text=True, check=True)
    runs = json.loads(done.stdout)
    assert len({run["sum"] for run in runs.values()}) == 1, "the configurations disagree on what was read"
    seconds = {name: np.array(run["seconds"]) for name, run in runs.items()}
    base = seconds[f"{whole}:{MISALIGNED}"]

    def saved(name: str) -> tuple[float, list[float]]:
        values = 100 * (1 - seconds[name] / base)
        return float(np.median(values)), bootstrap_interval(values, np.median)

    together, interval = saved(f"{sliced}:0")
    alone = {"slices": saved(f"{sliced}:{MISALIGNED}"), "alignment": saved(f"{whole}:0")}
    notes = {"slice_bytes": slice_bytes, "alone": {name: {"saved": s, "interval": i} for name, (s, i) in alone.items()},
             "cache_misses": {name: run["cache_misses"] for name, run in runs.items()}}
    return Measured(together, 0.0, 100 / (100 - together), interval, interval[0] >= GOAL, PASSES, notes)
