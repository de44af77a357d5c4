"""Runs of peers that are kept: new ones as JSON lines below build/, those to go by in bench/peers/results/tune.parquet.

A run is the best value after each trial, and what suggestions took (the mean of every block of BLOCK trials). A
repeated key keeps the longer run.
"""

import json
from pathlib import Path

import numpy as np
from peer import ROOT, Run

LINES = ROOT / "build/tune_peers"
STORED = ROOT / "bench/peers/results/tune.parquet"
BLOCK = 10


def blocks(seconds):
    return [float(np.mean(seconds[begin:begin + BLOCK])) for begin in range(0, len(seconds), BLOCK)]


def path_of(peer):
    return LINES / f"{peer.replace(':', '-')}.jsonl"


def append(peer, problem, seed, trials, run):
    """`trials` is what was asked for: a run is shorter where a space is exhausted."""
    LINES.mkdir(parents=True, exist_ok=True)
    line = {"peer": peer, "problem": problem, "seed": seed, "trials": trials, "best": run.best.tolist(),
            "seconds": blocks(run.seconds)}
    with open(path_of(peer), "a") as out:
        out.write(json.dumps(line) + "\n")


def lines_of(path):
    """Of a file whose last line may have been torn by a kill."""
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            pass


def rows(stored_only=False):
    import pyarrow.parquet as parquet

    found = parquet.read_table(STORED).to_pylist() if STORED.exists() else []
    if not stored_only and LINES.exists():
        found += [line for path in sorted(LINES.glob("*.jsonl")) for line in lines_of(path)]
    kept = {}
    for row in found:
        key = (row["peer"], row["problem"], row["seed"])
        if key not in kept or kept[key]["trials"] < row["trials"]:
            kept[key] = row
    return kept


def load(trials, stored_only=False):
    """Runs of at least so many trials, by (peer, problem, seed)."""
    return {key: Run(np.array(row["best"]), np.array(row["seconds"])) for key, row in rows(stored_only).items()
            if row["trials"] >= trials}


def schema():
    import pyarrow.parquet as parquet

    return parquet.read_schema(STORED)


def store(versions, command):
    """Writes all rows to the file that is kept; `versions` by peer, those of earlier rows stay."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    about = {"versions": {}, "commands": []}
    if STORED.exists():
        about = json.loads(schema().metadata[b"tune"])
    about["versions"] |= versions
    about["commands"] = [*(one for one in about["commands"] if one != command), command]
    columns = pa.schema([("peer", pa.dictionary(pa.int32(), pa.string())),
                         ("problem", pa.dictionary(pa.int32(), pa.string())), ("seed", pa.int32()), ("trials", pa.int32()),
                         ("best", pa.list_(pa.float32())), ("seconds", pa.list_(pa.float32()))])
    kept = [row for _, row in sorted(rows().items())]
    table = pa.Table.from_pylist(kept, columns).replace_schema_metadata({"tune": json.dumps(about)})
    STORED.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, STORED, compression="zstd", compression_level=19)
    return len(kept)
