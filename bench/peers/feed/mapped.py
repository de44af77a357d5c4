"""Rows gathered from .npy files in memory maps: the least that a loader can do, and any row is near."""

import os

import numpy as np

from blocks import Columns, new_block, split_packed
from data import TABLE, WIDTH


class MappedVectors:
    """Gathers rows from .npy files in memory maps."""

    layout = Columns([("x", np.float32, WIDTH), ("label", np.int64, 1)])
    split = layout.split

    def __init__(self, folder):
        self.columns = {name: np.load(os.path.join(folder, f"vectors_{name}.npy"), mmap_mode="r")
                        for name in ("x", "label")}

    def __len__(self):
        return len(self.columns["label"])

    def __getitems__(self, indices):
        return self.layout.gather(self.columns, np.asarray(indices))


class MappedTable:
    """Gathers packed rows from a .npy file in a memory map; a column is a view with a stride."""

    def __init__(self, folder):
        packed = np.load(os.path.join(folder, "table.npy"), mmap_mode="r")
        self.rows = packed.view(f"V{TABLE.itemsize}")

    def __len__(self):
        return len(self.rows)

    def __getitems__(self, indices):
        block = new_block(len(indices) * TABLE.itemsize)
        np.take(self.rows, np.asarray(indices), out=block.numpy().view(self.rows.dtype), mode="clip")
        return block

    @staticmethod
    def split(block):
        return split_packed(block, TABLE)


DATASETS = {"vectors": MappedVectors, "table": MappedTable}
