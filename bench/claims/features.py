"""Feature vectors for the claims: 256 MiB of float32 [512] as Parquet, made once."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

FOLDER = Path(__file__).resolve().parents[2] / "build/data/claims"
ROWS, WIDTH = 131072, 512


def feature_file(group_rows: int) -> Path:
    path = FOLDER / f"features_{group_rows}.parquet"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(0).standard_normal((ROWS, WIDTH), dtype=np.float32)
        table = pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), WIDTH)})
        unfinished = path.with_suffix(".part")
        parquet.write_table(table, unfinished, row_group_size=group_rows, compression="none", use_dictionary=False)
        unfinished.rename(path)
    return path
