"""Records the tables of bench/problems/tables: trains every configuration of every space once.

    make peers NAME=tables; make data
    .venv-peers/tables/bin/python bench/problems/record.py [TABLE...]

About 20 minutes on one core. What was trained is kept in build/tables/TABLE.jsonl, a line a training, so a stopped run
goes on where it was; a table that has all lines is written to bench/problems/tables/TABLE.parquet: a row a
configuration with `value`, `seconds` (from the start of its training) and the parameters' values; the space and the
metric are in the file's metadata. Trainings are seeded and use one thread: another run finds the same values.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as parquet  # noqa: E402
import sklearn  # noqa: E402
from problems.problem import configurations  # noqa: E402
from problems.trainings import TRAININGS  # noqa: E402
from tqdm import tqdm  # noqa: E402

LINES = HERE.parents[1] / "build/tables"


def numbers(space, params):
    """The numbers that a configuration's steps stand for."""
    return {one["name"]: one["at"][params[one["name"]]] if "at" in one else params[one["name"]]
            for one in space if one["name"] in params}


def done_lines(path):
    """What an earlier run has trained; a last line that a kill has torn is cut off."""
    if not path.exists():
        return []
    whole = path.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    path.write_bytes(whole)
    return [json.loads(line) for line in whole.splitlines()]


def record(name, training):
    """The table's lines, trained where they are missing; None when that was not finished."""
    path = LINES / f"{name}.jsonl"
    lines = done_lines(path)
    trainings = [params for params, _ in configurations(training.space[:-1])]
    with open(path, "a") as out:
        for params in tqdm(trainings[len(lines):], initial=len(lines), total=len(trainings), desc=name, mininterval=10):
            line = {"value": [], "seconds": []}
            begin = time.perf_counter()
            for value in training.train(numbers(training.space, params)):
                line["value"].append(value)
                line["seconds"].append(round(time.perf_counter() - begin, 4))
            assert len(line["value"]) == len(training.last["at"]), name
            lines.append(line)
            print(json.dumps(line), file=out, flush=True)
    return lines


def write(name, training, lines):
    columns = {column: pa.array([number for line in lines for number in line[column]], pa.float32())
               for column in ("value", "seconds")}
    trained = [numbers(training.space, params) for params, _ in configurations(training.space)]
    for parameter in training.space:
        column = pa.array([params.get(parameter["name"]) for params in trained])
        columns[parameter["name"]] = column if pa.types.is_boolean(column.type) else column.dictionary_encode()
    about = {"space": training.space, "metric": training.metric, "versions": {"scikit-learn": sklearn.__version__}}
    table = pa.table(columns).replace_schema_metadata({"table": json.dumps(about)})
    parquet.write_table(table, HERE / "tables" / f"{name}.parquet", compression="zstd", compression_level=19)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TRAININGS)}; all when there is none")
    chosen = parser.parse_args().tables or list(TRAININGS)
    if unknown := set(chosen) - set(TRAININGS):
        parser.error(f"{unknown.pop()}: expected some of {', '.join(TRAININGS)}")
    LINES.mkdir(parents=True, exist_ok=True)
    (HERE / "tables").mkdir(exist_ok=True)
    for name in chosen:
        write(name, TRAININGS[name], record(name, TRAININGS[name]))


if __name__ == "__main__":
    main()
