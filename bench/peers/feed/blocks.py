"""A batch of rows as one block of memory, which a DataLoader's worker hands over in shared memory without another copy;
`split` makes the columns of it, views."""

import numpy as np
import torch


def new_block(size):
    """A uint8 tensor: in a DataLoader's worker in shared memory, as torch's own collate does it."""
    tensor = torch.empty(0, dtype=torch.uint8)
    if torch.utils.data.get_worker_info() is None:
        return tensor.new_empty(size)
    return tensor.new(tensor._typed_storage()._new_shared(size, device="cpu"))


class Columns:
    """A block that holds column after column, the widest type first. Fields are (name, NumPy type, values a row)."""

    def __init__(self, fields):
        self.fields = sorted(fields, key=lambda field: -np.dtype(field[1]).itemsize)
        self.row_bytes = sum(np.dtype(dtype).itemsize * width for _, dtype, width in fields)

    def split(self, block):
        rows = len(block) // self.row_bytes
        begin, made = 0, {}
        for name, dtype, width in self.fields:
            end = begin + rows * width * np.dtype(dtype).itemsize
            column = torch.from_numpy(block[begin:end].numpy().view(dtype))
            made[name] = column.view(rows, width) if width > 1 else column
            begin = end
        return made

    def gather(self, columns, indices):
        """The block of some rows of NumPy columns."""
        block = new_block(len(indices) * self.row_bytes)
        for name, to in self.split(block).items():
            np.take(columns[name], indices, axis=0, out=to.numpy(), mode="clip")
        return block


def split_packed(block, dtype):
    records = block.numpy().view(dtype)
    return {name: torch.from_numpy(records[name]) for name in dtype.names}


class Batches:
    """The blocks that a loader gives as batches; every `for` is an epoch."""

    def __init__(self, loader, split):
        self.loader, self.split = loader, split

    def __iter__(self):
        return map(self.split, self.loader)
