"""Files as other tools write and read them: what pyarrow makes must come out of Strop the same, and the reverse."""

import json
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def watch(strop_bin, *arguments):
    command = [strop_bin / "strop-watch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def rows():
    return np.random.default_rng(5).normal(size=(400, 6)).astype(np.float32)


def columns_of(rows):
    """The same numbers in every layout that has a dense form."""
    flat = pa.array(rows.reshape(-1))
    binary = pa.array([row.tobytes() for row in rows], pa.binary(24))
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(rows.reshape(-1, 2, 3))
    meaning = {"strop.role": "input", "strop.dtype": "float32", "strop.shape": "2,3"}
    return {
        "list": (pa.field("x", pa.list_(pa.float32(), 6)), pa.FixedSizeListArray.from_arrays(flat, 6)),
        "tensor": (pa.field("x", tensor.type), tensor),
        "binary": (pa.field("x", pa.binary(24), metadata=meaning), binary),
    }


@pytest.mark.parametrize("compression", ["none", "zstd", "snappy"])
def test_every_layout_of_a_column_is_read_as_the_same_rows(strop_bin, tmp_path, rows, compression):
    scores = set()
    for name, (field, values) in columns_of(rows).items():
        table = pa.table([values], schema=pa.schema([field]))
        file = tmp_path / f"{name}.parquet"
        pq.write_table(table, file, compression=compression, row_group_size=70)
        result = watch(strop_bin, file, file, "--window", 100, "--json")
        assert result.returncode == 0, result.stderr
        scores.add(json.loads(result.stdout)["windows"][2]["score"])
    assert len(scores) == 1


def test_an_ipc_file_and_a_glob_of_parquet_are_the_same_source(strop_bin, tmp_path, rows):
    field, values = columns_of(rows)["binary"]
    table = pa.table([values], schema=pa.schema([field]))
    with pa.ipc.new_file(tmp_path / "whole.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=90)
    for part in range(4):
        pq.write_table(table.slice(part * 100, 100), tmp_path / f"part-{part}.parquet")
    answers = [
        json.loads(watch(strop_bin, tmp_path / "whole.arrow", stream, "--window", 100, "--json").stdout)["windows"]
        for stream in (tmp_path / "whole.arrow", tmp_path / "part-*.parquet")
    ]
    assert answers[0] == answers[1]


def test_bad_files_are_named_in_one_line(strop_bin, tmp_path, rows, fashion):
    good = tmp_path / "good.parquet"
    field, values = columns_of(rows)["list"]
    pq.write_table(pa.table([values], schema=pa.schema([field])), good)
    whole = good.read_bytes()
    short = tmp_path / "short.parquet"
    short.write_bytes(whole[: len(whole) // 2])
    text = tmp_path / "text.parquet"
    text.write_text("not a table, whatever it is called\n")
    null = tmp_path / "null.parquet"
    pq.write_table(pa.table({"x": pa.array([1.0, None, 2.0] * 100)}), null)
    strings = tmp_path / "strings.parquet"
    pq.write_table(pa.table({"x": ["a", "b"] * 200}), strings)
    for stream, said in [
        (short, "short.parquet is cut short"),
        (text, "text.parquet"),
        (tmp_path / "none.parquet", "no file matches"),
        (null, "column x is null in row 1"),
        (strings, "column x of type string has no dense form"),
        ("s3://bucket/a.parquet", "not s3://"),
        (fashion["test"], "no column x"),
    ]:
        result = watch(strop_bin, good, stream, "--window", 100)
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert said in result.stderr
