"""Rows that prove themselves, for the tests of feed: every column of a row is derived from its number."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import strop

ROWS = 1000
GROUP = 64
# Plain pages with checksums: a changed byte is found, and where a row's bytes lie is known.
PLAIN = {"row_group_size": GROUP, "compression": "none", "use_dictionary": False, "write_page_checksum": True}


def make_table(rows=ROWS, first=0):
    ids = np.arange(first, first + rows)
    pixels = (ids[:, None] * 31 + np.arange(12) * 7).astype(np.uint8)
    image = pa.field("image", pa.binary(12), nullable=False,
                     metadata={"strop.role": "input", "strop.dtype": "uint8", "strop.shape": "3,4"})
    schema = pa.schema([image, ("label", pa.int64()), ("score", pa.float32()), ("name", pa.string())])
    return pa.table([pa.array([row.tobytes() for row in pixels], pa.binary(12)), pa.array(ids),
                     pa.array(ids / 2, pa.float32()), pa.array([f"row {i}" for i in ids])], schema=schema)


def write_rows(path, table=None):
    pq.write_table(make_table() if table is None else table, path, **PLAIN)
    return path


def csv(table):
    return b"label,score\n" + b"".join(b"%d,%g\n" % (label, label / 2) for label in table["label"].to_pylist())


def open_numpy(source, **options):
    return strop.feed.Loader(source, **{"format": "numpy", "batch_size": 32, **options})


def labels(batches):
    return [np.asarray(batch["label"]).tolist() for batch in batches]


def flat(batches):
    return [label for batch in labels(batches) for label in batch]
