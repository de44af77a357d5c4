"""Rows of Parquet, read by pyarrow eight row groups at a time, as Strop reads them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from blocks import Columns

WINDOW = 8  # row groups that are shuffled together, as in Strop


def width_of(type):
    return type.list_size if pa.types.is_fixed_size_list(type) else 1


def value_type(type):
    return type.value_type if pa.types.is_fixed_size_list(type) else type


def to_numpy(column):
    """An Arrow column without nulls: [rows], or [rows, width] of a list."""
    array = column.combine_chunks()
    if width_of(array.type) > 1:
        return array.flatten().to_numpy().reshape(len(array), -1)
    return array.to_numpy()


class RowGroups:
    """Reads eight random row groups of a Parquet file at a time, and cuts batches from their mixed rows."""

    def __init__(self, path):
        self.path = path
        with parquet.ParquetFile(path) as file:
            self.count = file.num_row_groups
            fields = file.schema_arrow
        self.layout = Columns([(field.name, value_type(field.type).to_pandas_dtype(), width_of(field.type))
                               for field in fields])
        self.split = self.layout.split

    def windows(self, epoch):
        """Lists of row groups: the epoch's order."""
        order = np.random.default_rng(epoch).permutation(self.count)
        return [order[begin:begin + WINDOW] for begin in range(0, self.count, WINDOW)]

    def open(self):
        return parquet.ParquetFile(self.path, memory_map=True)

    def read(self, file, window, batch, random):
        table = file.read_row_groups(window, use_threads=False)
        columns = {name: to_numpy(table[name]) for name in table.column_names}
        order = random.permutation(len(table))
        for begin in range(0, len(order), batch):
            yield self.layout.gather(columns, order[begin:begin + batch])
