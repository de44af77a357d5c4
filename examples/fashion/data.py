"""Converts Debian's dataset-fashion-mnist to Parquet: 60,000 and 10,000 images of 28x28 grey pixels.

    python examples/fashion/data.py OUT_DIR

Writes OUT_DIR/train.parquet and OUT_DIR/test.parquet with the columns `image` (784 bytes, row-major, annotated
with the role, dtype and shape by which Strop turns it into a tensor) and `label` (0 to 9). Does nothing when both
are there. Row groups hold about 1 MiB, a reader's share of L3.
"""

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SOURCE = Path("/usr/share/datasets/fashion-mnist")
ROW_GROUP_ROWS = 1280


def read_idx(path: Path, header_bytes: int) -> np.ndarray:
    """The unsigned bytes of an IDX file behind its header (format: yann.lecun.com/exdb/mnist)."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header_bytes)


def convert(name: str, out: Path) -> None:
    images = read_idx(SOURCE / f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 784)
    labels = read_idx(SOURCE / f"{name}-labels-idx1-ubyte.gz", 8)
    schema = pa.schema([
        pa.field("image", pa.binary(784), nullable=False,
                 metadata={"strop.role": "input", "strop.dtype": "uint8", "strop.shape": "1,28,28"}),
        pa.field("label", pa.int64(), nullable=False, metadata={"strop.role": "label"}),
    ])
    pixels = pa.Array.from_buffers(pa.binary(784), len(images), [None, pa.py_buffer(images.tobytes())])
    table = pa.table([pixels, pa.array(labels.astype(np.int64))], schema=schema)
    temporary = out.with_suffix(".tmp")
    pq.write_table(table, temporary, row_group_size=ROW_GROUP_ROWS, compression="none", use_dictionary=False)
    os.replace(temporary, out)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not SOURCE.is_dir():
        sys.exit(f"{SOURCE} is missing: apt-get install dataset-fashion-mnist")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in (("train", "train.parquet"), ("t10k", "test.parquet")):
        if not (folder / file).exists():
            convert(name, folder / file)


if __name__ == "__main__":
    main()
