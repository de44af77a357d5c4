"""strop.feed.Loader beside torch.utils.data.DataLoader on the same Parquet file, in one run.

    python bench/peers/feed_torch.py build/data/fashion/train.parquet [--epochs 7] [--batch 256] [--json OUT]

Both shuffle, and give (image uint8 [n, …], label int64 [n]) as torch tensors. torch holds the whole file in memory,
loaded once and not timed; Strop reads the file in every epoch. torch's entries, from plain to careful:

    samples   a Dataset of one row an item, the default collate
    fetched   __getitems__ fetches a batch's rows and the collate stacks once
    gathered  __getitems__ gathers the batch by one index into the tensors, the collate passes it on: the least a
              DataLoader can do

each with 0, 1 and 2 workers (persistent), and with 0 workers and one OpenMP thread. Epochs of all entries alternate,
so that a busy machine slows all alike; the median of the epochs after a first that warms up counts. Each epoch's
labels are summed and its rows counted, and must agree with the file.
"""

import argparse
import json
import os
import statistics
import sys
import time

import numpy as np
import pyarrow.parquet as parquet
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

import strop


class Samples(Dataset):
    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


class Fetched(Samples):
    def __getitems__(self, indices):
        return [(self.images[i], self.labels[i]) for i in indices]


class Gathered(Samples):
    def __getitems__(self, indices):
        chosen = torch.tensor(indices)
        return self.images[chosen], self.labels[chosen]


def stack(rows):
    images, labels = zip(*rows)
    return torch.stack(images), torch.stack(labels)


def passed_on(batch):
    return batch


def load(path):
    table = parquet.read_table(path)
    field = table.schema.field("image")
    shape = [int(n) for n in field.metadata[b"strop.shape"].decode().split(",")]
    column = table["image"].combine_chunks()
    width = field.type.byte_width
    pixels = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width:][: len(table) * width]
    return torch.from_numpy(pixels.reshape(len(table), *shape).copy()), torch.from_numpy(table["label"].to_numpy().copy())


def entries(path, images, labels, batch, seed):
    """name -> a function of the epoch that answers an iterable of (images, labels)."""
    made = {}
    for kind, (dataset, collate) in {"samples": (Samples, None), "fetched": (Fetched, stack),
                                     "gathered": (Gathered, passed_on)}.items():
        for workers in (0, 1, 2):
            loader = DataLoader(dataset(images, labels), batch, shuffle=True, num_workers=workers, collate_fn=collate,
                                persistent_workers=workers > 0)
            made[f"torch {kind}, workers={workers}"] = lambda epoch, loader=loader: loader
        # torch's own threads (OpenMP) help on an idle machine and hurt on a busy one.
        made[f"torch {kind}, workers=0, 1 thread"] = lambda epoch, loader=DataLoader(
            dataset(images, labels), batch, shuffle=True, collate_fn=collate): loader
    for workers in ("auto", 1, 2):
        loader = strop.feed.Loader(path, batch_size=batch, shuffle=True, seed=seed, workers=workers,
                                   columns=["image", "label"])

        def run(epoch, loader=loader):
            loader.set_epoch(epoch)
            return ((b["image"], b["label"]) for b in loader)

        made[f"strop, workers={workers}"] = run
    return made


def timed(run, epoch, want):
    begin = time.perf_counter()
    rows = 0
    kept = []
    for images, labels in run(epoch):
        rows += len(images)
        kept.append(labels)
    seconds = time.perf_counter() - begin
    got = (rows, int(torch.cat(kept).sum()))
    if got != want:
        raise SystemExit(f"rows and sum of labels are {got}, the file has {want}")
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="also write the result here")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)

    images, labels = load(arguments.path)
    want = (len(labels), int(labels.sum()))
    runs = entries(arguments.path, images, labels, arguments.batch, arguments.seed)
    times = {name: [] for name in runs}
    threads = torch.get_num_threads()
    for epoch in tqdm(range(arguments.epochs + 1), desc="epochs of each loader", disable=None):
        for name, run in runs.items():
            torch.set_num_threads(1 if "1 thread" in name else threads)
            seconds = timed(run, epoch, want)
            if epoch > 0:
                times[name].append(seconds)

    result = {"path": os.path.basename(arguments.path), "rows": want[0], "batch": arguments.batch,
              "epochs": arguments.epochs, "torch": torch.__version__, "cpus": len(os.sched_getaffinity(0)),
              "load": os.getloadavg()[0], "entries": {}}
    for name, seconds in times.items():
        median = statistics.median(seconds)
        result["entries"][name] = {"seconds": median, "low": min(seconds), "high": max(seconds),
                                   "rows_per_second": want[0] / median}
        print(f"{name:36} {1e3 * median:8.1f} ms an epoch ({1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f}), "
              f"{want[0] / median:12,.0f} rows/s", file=sys.stderr)

    def best(prefix):
        return min((name for name in times if name.startswith(prefix)), key=lambda n: result["entries"][n]["seconds"])

    ours = "strop, workers=auto"
    for label, prefix in {"ratio_to_best_torch": "torch", "ratio_to_samples": "torch samples",
                          "ratio_to_fetched": "torch fetched", "ratio_to_gathered": "torch gathered"}.items():
        peer = best(prefix)
        pairs = [theirs / own for theirs, own in zip(times[peer], times[ours])]
        result[label] = {"peer": peer, "ratio": result["entries"][peer]["seconds"] / result["entries"][ours]["seconds"],
                         "low": min(pairs), "high": max(pairs)}
    print(json.dumps(result, indent=1))
    if arguments.json:
        with open(arguments.json, "w") as out:
            json.dump(result, out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
