"""strop.feed.Loader beside torch's DataLoader, MosaicML Streaming, LitData and SPDL, on the same data, in one run.

    make peers NAME=torch; make peers NAME=streaming; make peers NAME=litdata; make peers NAME=spdl
    .venv-peers/torch/bin/python bench/peers/feed/data.py
    PYTHONPATH=build/dev .venv/bin/python bench/peers/feed/run.py
    .venv/bin/python bench/peers/feed/report.py build/feed_peers.json > docs/feed_peers.md

Workloads (data.py): feature vectors, JPEG images (decode, random resized crop to 224, flip, normalise), a table. Each
loader shuffles, and gives torch tensors of the same types and shapes; how each is set up is in its driver's docstring
(NAME_loader.py). SPDL's FFmpeg needs libavfilter8 of Debian. Every loader is a process of its own, in the environment
that its release asks for.

speed        First every number of workers, for a while; the fastest goes on. Then all loaders of a workload are read
             in turns of --seconds, so that a busy machine slows all alike; the median of the rounds counts. A turn
             goes on where the last one stopped, and what the loader made ahead in between is taken before the clock
             starts. Of every epoch that ends, the rows and the sum of the labels must be the data's. CPU seconds are
             the process tree's: "a core" is the records that a second of a core's time makes, wherever it is spent.
memory       the most anonymous and shared memory of the tree, with 1 to 16 workers, while the consumer takes four
             batches a second: the loader has all that it prefetches.
utilisation  of an emulated accelerator (accelerator.py): the fastest pace at which it still computes 90% of the time,
             and the utilisation at the pace of an A100.

--check reads one whole epoch of each, sums every column and compares: use it with small data (data.py --scale 0.02).
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
from contextlib import ExitStack, nullcontext

from tqdm import tqdm

from accelerator import PACES
from data import CROP, WORKLOADS, load_meta
from peer import PEERS, Peer

PARTS = ("speed", "memory", "utilisation")
MEMORY_WORKERS = (1, 2, 4, 8, 16)
PASS = 0.9


class Entry:
    """A peer reading one form of a workload."""

    def __init__(self, peer, workload, form, workers, folder):
        self.peer, self.workload, self.form, self.folder = peer, workload, form, folder
        self.all_workers = workers
        self.batch = WORKLOADS[workload].batch
        self.result = {"peer": peer, "workload": workload, "form": form, "pilot": {}}
        self.rounds = []

    @property
    def name(self):
        return f"{self.workload}, {self.peer} ({self.form})"

    def start(self, log):
        self.child = Peer(self.peer, log)
        return self.child

    def open(self, workers):
        self.child.open(self.workload, self.form, workers, self.batch, self.folder)


def compare(entry, epoch, meta):
    """Ends the run when an epoch did not have the data's rows and sums. The crops of images are random: of them the mean
    is compared, with that of the whole images."""
    want, got = meta[entry.workload], dict(epoch["sums"])
    if "image" in got:
        got["image_mean"] = got.pop("image") / epoch["rows"] / (3 * CROP * CROP)
    wrong = [name for name, value in got.items()
             if abs(value - want["want"][name]) > (0 if isinstance(value, int) else 0.1)]
    if epoch["rows"] != want["rows"] or wrong:
        raise SystemExit(f"{entry.name}: an epoch of {epoch['rows']} rows and {got}, the data has {want}")


def read(entry, meta, seconds):
    """Records a second, of the wall and of the cores; the epochs that ended meanwhile are right."""
    answer = entry.child.read(seconds)
    for epoch in answer["epochs"]:
        compare(entry, epoch, meta)
    return measured(answer)


def measured(answer):
    rows, cpu_seconds = answer["rows"], max(answer["cpu_seconds"], 0.01)
    return {"records_per_second": rows / answer["seconds"], "records_per_cpu_second": rows / cpu_seconds}


def find_fastest(entries, meta, seconds):
    """A short reading with each number of workers; the best one stays open."""
    for entry in tqdm(entries, desc="fastest number of workers", disable=None):
        rates = entry.result["pilot"]
        for workers in entry.all_workers:
            entry.open(workers)
            rates[workers] = read(entry, meta, seconds / 2)["records_per_second"]
        entry.workers = max(rates, key=rates.get)
        entry.result["workers"] = entry.workers
        entry.open(entry.workers)


def alternate(entries, meta, rounds, seconds):
    for _ in tqdm(range(rounds), desc="rounds", disable=None):
        for entry in entries:
            entry.rounds.append(read(entry, meta, seconds))
    for entry in entries:
        for key in ("records_per_second", "records_per_cpu_second"):
            values = [one[key] for one in entry.rounds]
            entry.result[key] = {"median": statistics.median(values), "low": min(values), "high": max(values)}


def fastest_of_each(entries):
    """The best form of every peer and workload, by records a CPU second."""
    best = {}
    for entry in entries:
        key = (entry.workload, entry.peer)
        rate = entry.result["records_per_cpu_second"]["median"]
        if key not in best or rate > best[key].result["records_per_cpu_second"]["median"]:
            best[key] = entry
    return list(best.values())


def utilisation_at(entry, pace, seconds):
    return entry.child.read(seconds, pace)["utilisation"]


def find_paces(entries, seconds, steps=4):
    """Bisects for the fastest pace at which utilisation passes. Only a loader that works while the accelerator does
    can: those without workers get one."""
    for entry in tqdm(entries, desc="utilisation", disable=None):
        beside = {workers: rate for workers, rate in entry.result["pilot"].items() if workers > 0}
        workers = max(beside, key=beside.get)
        entry.open(workers)
        common = utilisation_at(entry, PACES[entry.workload], seconds)
        low, high = beside[workers] / 3, beside[workers] * 1.5
        for _ in range(steps):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if utilisation_at(entry, middle, seconds) >= PASS else (low, middle)
        entry.result["utilisation"] = {"workers": workers, "fastest_pace": low, "at_common_pace": common}


def measure_memory(entries, seconds, log):
    """In a new child, where nothing is left of earlier epochs."""
    for entry in tqdm(entries, desc="memory", disable=None):
        entry.child.close()
        entry.result["memory"] = {}
        with entry.start(log):
            for workers in MEMORY_WORKERS:
                entry.open(workers)
                held, files = entry.child.watched(seconds, 4 * entry.batch)
                entry.result["memory"][workers] = {"bytes": held, "file_bytes": files}


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "load_at_start": os.getloadavg()[0]}


def save(result, path):
    with open(path, "w") as out:
        json.dump(result, out, indent=1)
        out.write("\n")


def prepared(arguments, result, log):
    """The entries of each workload; every peer's own format is there."""
    entries = {workload: [] for workload in arguments.workloads}
    for name in arguments.peers:
        with Peer(name, log) as child:
            about = child.call("describe")
            result["versions"][name] = about["versions"]
            for workload in arguments.workloads:
                made = child.call("prepare", workload=workload, folder=arguments.folder)
                if made:
                    result["prepared"][f"{name}, {workload}"] = made
                entries[workload] += [Entry(name, workload, form, about["workers"], arguments.folder)
                                      for form in about["forms"][workload]]
    return entries


def check(entries, meta):
    for entry in tqdm(entries, desc="check", disable=None):
        entry.open(entry.all_workers[-1])
        compare(entry, entry.child.call("check"), meta)


def measure(entries, meta, arguments, log):
    find_fastest(entries, meta, arguments.seconds)
    alternate(entries, meta, arguments.rounds, arguments.seconds)
    best = fastest_of_each(entries)
    if "utilisation" in arguments.parts:
        find_paces(best, arguments.seconds / 2)
    if "memory" in arguments.parts:
        measure_memory(best, arguments.seconds * 2 / 3, log)


def run(arguments, log):
    """A workload after the other: its files, in every form, and its loaders have to be in memory together."""
    meta = load_meta(arguments.folder)
    result = {"machine": machine(), "command": "run.py " + " ".join(sys.argv[1:]), "versions": {}, "prepared": {},
              "paces": PACES, "scale": {}, "entries": []}
    for workload, entries in prepared(arguments, result, log).items():
        with ExitStack() as stack:
            for entry in entries:
                stack.enter_context(entry.start(log))
            if arguments.check:
                check(entries, meta)
                continue
            measure(entries, meta, arguments, log)
        result["scale"][workload] = {"rows": meta[workload]["rows"], "batch": WORKLOADS[workload].batch}
        result["entries"] += [entry.result for entry in entries]
        save(result, arguments.json)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=os.path.join("build", "data", "feed"))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=3, help="the longest that an epoch is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="compare all columns of one whole epoch of each, no more")
    parser.add_argument("--json", default=os.path.join("build", "feed_peers.json"), help="the result goes here")
    parser.add_argument("--log", help="what the peers print goes here")
    arguments = parser.parse_args()
    with open(arguments.log, "w") if arguments.log else nullcontext() as log:
        run(arguments, log)


if __name__ == "__main__":
    main()
