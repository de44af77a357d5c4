"""Measures the claims and prints one JSON object a line.

    make claims [ONLY=1.3,1.5]        python bench/claims/run.py --only 1.3 [--sabotage]

A claim is a module here, claim_1_3.py for 1.3, with TITLE, METRIC, UNIT, ARTICLE, GOAL, BASELINE and
measure(sabotage) -> Measured. `--sabotage` swaps our method for a null one; then no claim may hold.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def isa() -> str:
    flags = Path("/proc/cpuinfo").read_text()
    return next((name for name in ("avx512_vnni", "avx512f", "avx2") if f" {name}" in flags), "scalar")


def commit() -> str:
    done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def names() -> list[str]:
    return sorted(path.stem.removeprefix("claim_").replace("_", ".", 1) for path in HERE.glob("claim_*.py"))


def measure(name: str, sabotage: bool) -> dict:
    claim = importlib.import_module("claim_" + name.replace(".", "_"))
    result = claim.measure(sabotage)
    return {
        "claim": name, "title": claim.TITLE, "metric": claim.METRIC, "unit": claim.UNIT, "ours": result.ours,
        "baseline": result.baseline, "baseline_name": claim.BASELINE, "ratio": result.ratio, "interval": result.interval,
        "article": claim.ARTICLE, "goal": claim.GOAL, "holds": result.holds, "n": result.n, "cpu": cpu_model(), "isa": isa(),
        "threads": len(os.sched_getaffinity(0)), "commit": commit(), **result.notes,
        **({"sabotage": True} if sabotage else {}),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="claims, with commas between")
    parser.add_argument("--sabotage", action="store_true", help="measure a null method: no claim may hold")
    arguments = parser.parse_args()
    chosen = [name for name in arguments.only.split(",") if name] or names()
    if unknown := [name for name in chosen if name not in names()]:
        parser.error(f"--only {unknown[0]}: expected some of {', '.join(names())}")
    for name in chosen:
        print(json.dumps(measure(name, arguments.sabotage)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
