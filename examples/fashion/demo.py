"""Closes the loop once on Fashion-MNIST, and prints what was measured.

    python examples/fashion/demo.py --build build/dev --data build/data/fashion

Runs `strop run --once` on examples/fashion/strop.toml from an empty start, then measures the feed beside torch's
DataLoader and the models beside ONNX Runtime. Writes examples/fashion/.strop/report.html. Exits non-zero unless half
of the lost accuracy returned, no request failed outside the kill, and the bad candidate was rejected.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from report import Measured, table_text, write_html

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LOOP = HERE / ".strop"


def step(name: str, command: list, env: dict, capture: bool = False) -> str:
    """Runs one step with its time; a failing one ends the demo with its exit status."""
    print(f"-- {name}", flush=True)
    start = time.monotonic()
    run = subprocess.run(command, cwd=HERE, env=env, text=True, stdout=subprocess.PIPE if capture else None)
    print(f"{time.monotonic() - start:7.1f} s  {name}", flush=True)
    if run.returncode != 0:
        print(f"demo: {name} ended with {run.returncode}", file=sys.stderr)
        sys.exit(run.returncode)
    return run.stdout or ""


def as_json(output: str) -> dict:
    return json.loads(output[output.index("{"):])


def trial_values() -> list[float]:
    with sqlite3.connect(f"file:{LOOP / 'strop.db'}?mode=ro", uri=True) as store:
        return [value for (value,) in store.execute("SELECT value FROM trials WHERE state = 'done' ORDER BY number")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/dev")
    parser.add_argument("--data", type=Path, default=ROOT / "build/data/fashion")
    arguments = parser.parse_args()
    build, data = arguments.build.resolve(), arguments.data.resolve()
    env = os.environ | {"PYTHONPATH": str(build), "PATH": f"{build / 'strop/bin'}:{os.environ['PATH']}"}
    start = time.monotonic()

    shutil.rmtree(LOOP, ignore_errors=True)
    step("the loop: strop run --once", [build / "strop/bin/strop", "run", HERE / "strop.toml", "--once"], env)
    feed = as_json(step("the feed beside torch DataLoader",
                          [sys.executable, ROOT / "bench/peers/feed_torch.py", data / "train.parquet", "--epochs", "3"],
                          env, capture=True))
    models = as_json(step("the models beside ONNX Runtime",
                            [sys.executable, ROOT / "bench/peers/compress_onnxruntime.py", "--model",
                             LOOP / "models/r0-f32.onnx", "--int8", LOOP / "models/r0-int8.onnx", "--calibration",
                             LOOP / "data/calibration.parquet", "--test", data / "test.parquet", "--seconds", "5"],
                            env, capture=True))
    events = as_json(step("the loop's own record", [build / "strop/bin/strop", "status", HERE / "strop.toml", "--events",
                                                      "1000", "--json"], env, capture=True))

    measured = Measured(feed=feed, models=models, world=json.loads((LOOP / "world.json").read_text()),
                        events=events["events"], trials=trial_values(), seconds=time.monotonic() - start)
    print("\n" + table_text(measured))
    write_html(measured, LOOP / "report.html")
    print(f"\nreport: {(LOOP / 'report.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
