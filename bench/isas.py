"""Runs the kernels' tests once for every instruction set that this machine has, as STROP_ISA forces it, and notes in
docs/isas.md on which processor and commit each was last run. A set that the machine lacks is named, and its line stays.

    STROP_BUILD=build/dev python bench/isas.py
"""

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs/isas.md"
ISAS = ("scalar", "avx2", "avx512", "avx512vnni", "amx")
HEAD = """# Where each instruction set was last run

The tests of kernels and of their layers under STROP_ISA, written by bench/isas.py. Kernels above the set are skipped, those up to it are run.

| instruction set | passed | skipped | processor | commit | date |
|---|---|---|---|---|---|
"""


def known():
    """The lines of the table as it is, by instruction set."""
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ") and "instruction set" not in line}


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def processor():
    return re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())[1]


def run(isa):
    """Passed and skipped, or None where this machine lacks the set."""
    test = Path(os.environ["STROP_BUILD"]) / "src/strop/engine/strop_engine_test"
    done = subprocess.run([test, "--gtest_filter=All/*:*Trees*:*Dispatch*:*Pack*:*Fuzz*:Attention*:Chain*:Conv*:Idioms*:Move*:Pool*:Separable*"], capture_output=True, text=True,
                          env=os.environ | {"STROP_ISA": isa})
    text = done.stdout + done.stderr
    if "this CPU has" in text:
        return None
    if done.returncode:
        sys.exit(f"{isa}: the tests fail\n{text[-3000:]}")
    count = {word: int(found[1]) if (found := re.search(rf"\[  {word} +\] (\d+) test", text)) else 0
             for word in ("PASSED", "SKIPPED")}
    return count["PASSED"], count["SKIPPED"]


def main():
    table, commit = known(), output("git", "describe", "--always", "--dirty")
    for isa in ISAS:
        counts = run(isa)
        if counts is None:
            print(f"{isa}: skipped, {processor()} lacks it")
            continue
        table[isa] = f"| {isa} | {counts[0]} | {counts[1]} | {processor()} | {commit} | {date.today()} |"
        print(table[isa])
    TABLE.write_text(HEAD + "".join(f"{table[isa]}\n" for isa in ISAS if isa in table))


if __name__ == "__main__":
    main()
