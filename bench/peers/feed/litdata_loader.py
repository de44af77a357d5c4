"""LitData: a StreamingDataset of chunks that litdata.optimize wrote, which it maps into memory where they lie, under
its StreamingDataLoader with persistent workers and four batches ready each. There are 64 chunks, not compressed: a
worker reads whole chunks, and 16 workers must have some.

A row is one item of bytes, unpacked by the collate a batch at a time; of images, the file's bytes and the label. The
shuffle is LitData's default: chunks in random order, then blocks of 256 rows within the chunk, then the rows of each.
LitData's ParquetLoader, which reads the table's Parquet itself, makes a dict of 30 values of every row and is slower.
"""

import os
from functools import partial

import litdata

import samples
from data import load_meta

PACKAGES = ("litdata", "torch", "simplejpeg")
FORMS = {workload: ["chunks"] for workload in ("vectors", "images", "table")}
WORKERS = (0, 1, 2)


def items(workload, folder):
    yield from samples.encoded_images(folder) if workload == "images" else samples.packed_rows(workload, folder)


def prepare(workload, folder):
    out = os.path.join(folder, "litdata", workload)
    rows = load_meta(folder)[workload]["rows"]
    litdata.optimize(partial(items, workload), [os.path.abspath(folder)], output_dir=out, num_workers=1,
                     chunk_size=-(-rows // 64))
    return out


def open_loader(workload, form, workers, batch, folder):
    dataset = litdata.StreamingDataset(os.path.join(folder, "litdata", workload), shuffle=True)
    loader = litdata.StreamingDataLoader(dataset, batch_size=batch, num_workers=workers,
                                         persistent_workers=workers > 0, prefetch_factor=4 if workers else None,
                                         collate_fn=samples.stack if workload == "images" else samples.join)
    return samples.batches(loader, workload)
