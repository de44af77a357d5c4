"""One loader in a process of its own, for run.py: reads commands, one JSON object a line, and answers each with one.

    describe {}: forms, numbers of workers and versions
    prepare  {"workload", "folder"}: writes the peer's own format where that was not done yet
    open     {"workload", "form", "workers", "batch", "folder"}: replaces the loader
    check    {}: an epoch, and the sums of all its columns
    read     {"limit": seconds, "pace": records a second of an emulated accelerator, or null}

What a peer prints goes to stderr.
"""

import gc
import importlib
import json
import os
import sys
import time
from importlib import metadata
from pathlib import Path

import torch

from accelerator import Accelerator
from data import CROP, size_of, sums
from process_tree import cpu_seconds


def add(total, part):
    return {name: total.get(name, 0) + value for name, value in part.items()}


class Clock:
    """Seconds of the wall and of the cores, of this process and its children."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), cpu_seconds(os.getpid())

    def since(self, earlier):
        return {"seconds": self.wall - earlier.wall, "cpu_seconds": self.cpu - earlier.cpu}


class Reading:
    """What a loader gives, epoch after epoch. A label or a number of each row is summed: the answer is checked, and the
    batch is there."""

    def __init__(self, loader):
        self.loader, self.batches, self.rows, self.total, self.epochs = loader, iter(()), 0, {}, []

    def take(self):
        batch = next(self.batches, None)
        if batch is None:
            if self.rows:
                self.epochs.append({"rows": self.rows, "sums": self.total})
            self.batches, self.rows, self.total = iter(self.loader), 0, {}
            batch = next(self.batches)
        small = {name: batch[name] for name in ("label", "i0") if name in batch}
        count = len(next(iter(small.values())))
        self.rows += count
        self.total = add(self.total, sums(small))
        return count


def read(reading, limit, pace):
    """Goes on reading for some seconds. What was ready ahead, made while nobody measured, is taken first."""
    accelerator = Accelerator(pace) if pace else None
    warm = time.perf_counter() + limit / 5
    while reading.take() and time.perf_counter() < warm:
        pass
    reading.epochs.clear()
    begin, rows = Clock(), 0
    while time.perf_counter() - begin.wall < limit:
        count = reading.take()
        rows += count
        if accelerator:
            accelerator.take(count)
    answer = {"rows": rows, "epochs": reading.epochs} | Clock().since(begin)
    return answer | ({"utilisation": accelerator.utilisation()} if accelerator else {})


def whole_epoch(loader):
    """All columns' sums of an epoch."""
    total, rows = {}, 0
    for batch in loader:
        total = add(total, sums(batch))
        rows += len(next(iter(batch.values())))
    if "image" in batch and batch["image"].shape[1:] != (3, CROP, CROP):
        raise SystemExit(f"images of {list(batch['image'].shape)}")
    return {"rows": rows, "sums": total}


def prepare(driver, workload, folder):
    """Once: what it took is kept beside what was written."""
    if not hasattr(driver, "prepare"):
        return {}
    record = Path(folder) / f"{driver.__name__}_{workload}.json"
    if not record.exists():
        begin = time.perf_counter()
        path = driver.prepare(workload, folder)
        made = {"seconds": time.perf_counter() - begin, "bytes": size_of(path)}
        record.write_text(json.dumps(made))
    return json.loads(record.read_text())


def main():
    driver = importlib.import_module(f"{sys.argv[1]}_loader")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)  # the loaders' workers are what is compared
    loader = reading = None
    for line in sys.stdin:
        command = json.loads(line)
        do = command.pop("do")
        if do == "describe":
            answer = {"forms": driver.FORMS, "workers": driver.WORKERS,
                      "versions": {package: metadata.version(package) for package in driver.PACKAGES}}
        elif do == "prepare":
            answer = prepare(driver, **command)
        elif do == "open":
            loader = reading = None
            gc.collect()
            loader = driver.open_loader(**command)
            reading = Reading(loader)
            answer = {}
        elif do == "check":
            answer = whole_epoch(loader)
        else:
            answer = read(reading, **command)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
