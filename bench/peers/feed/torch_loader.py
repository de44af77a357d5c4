"""torch.utils.data.DataLoader, used with care.

npy      __getitems__ gathers a batch's rows from memory maps straight into the batch; the collate passes it on. The
         sampler permutes all rows.
parquet  an IterableDataset: each worker reads eight random row groups at a time (pyarrow), mixes their rows and cuts
         batches from them.
folder   __getitems__ reads and decodes a batch's files into the batch. The sampler permutes all files.

Workers persist and have four batches ready each; what they fill is one block of shared memory a batch, so that nothing
is copied again.
"""

import os
import random

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

import images
import mapped
from blocks import Batches, new_block
from data import CROP, image_files
from row_groups import RowGroups

PACKAGES = ("torch", "pyarrow", "simplejpeg")
FORMS = {"vectors": ["npy", "parquet"], "images": ["folder"], "table": ["npy", "parquet"]}
WORKERS = (0, 1, 2)


class Files(Dataset):
    def __init__(self, folder):
        self.files = image_files(folder)

    def __len__(self):
        return len(self.files)

    def __getitems__(self, indices):
        paths, labels = zip(*(self.files[i] for i in indices))
        block = new_block(len(paths) * 3 * CROP * CROP * 4)
        images.augment_all(map(images.read, paths), random, images.of_block(block))
        return block, torch.tensor(labels)

    split = staticmethod(images.split)


class Windows(IterableDataset):
    def __init__(self, path, batch):
        self.row_groups, self.batch, self.epoch = RowGroups(path), batch, 0
        self.split = self.row_groups.split

    def __iter__(self):
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        windows = self.row_groups.windows(self.epoch)[number::count]
        random = np.random.default_rng((self.epoch, number))
        self.epoch += 1
        with self.row_groups.open() as file:
            for window in windows:
                yield from self.row_groups.read(file, window, self.batch, random)


def passed_on(batch):
    return batch


def open_loader(workload, form, workers, batch, folder):
    options = {"num_workers": workers, "persistent_workers": workers > 0, "prefetch_factor": 4 if workers else None}
    if form == "parquet":
        dataset = Windows(os.path.join(folder, f"{workload}.parquet"), batch)
        options["batch_size"] = None  # it makes batches itself
    else:
        dataset = Files(folder) if form == "folder" else mapped.DATASETS[workload](folder)
        options |= {"batch_size": batch, "shuffle": True, "collate_fn": passed_on}
    return Batches(DataLoader(dataset, **options), dataset.split)
