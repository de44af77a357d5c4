"""Runs the C++ and Python tests and ends in one plain line: N passed, N failed, N skipped.

    python tests/run.py core|slow …

core: every gtest binary of the build and the pytest tests that are not marked slow; slow: those that are.
STROP_BUILD names the build folder (default build/dev). Exit status 0 only when something passed and nothing failed.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("STROP_BUILD", "build/dev")
RESULTS = BUILD / "test-results"
SECONDS_A_BINARY = 600


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def skip(self, test: str, reason: str) -> None:
        self.skipped += 1
        print(f"  skipped {test}: {' '.join(reason.split()) or 'no reason given'}")

    def fail(self, test: str, text: str) -> None:
        self.failed += 1
        print(f"  FAILED {test}\n{text.rstrip()}")


def report(name: str, seconds: float, what: str) -> None:
    print(f"{seconds:7.1f} s  {name}: {what}", flush=True)


def run_gtest(binary: Path):
    result = RESULTS / f"{binary.name}.json"
    result.unlink(missing_ok=True)
    start = time.monotonic()
    try:
        run = subprocess.run([binary, f"--gtest_output=json:{result}", "--gtest_brief=1"], cwd=BUILD,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                             timeout=SECONDS_A_BINARY)
        output, code = run.stdout, run.returncode
    except subprocess.TimeoutExpired as expired:
        output, code = f"{expired}\n{(expired.stdout or b'').decode(errors='replace')[-4000:]}", -1
    return binary, output, code, result, time.monotonic() - start


def read_gtest(tally: Tally, binary: Path, output: str, code: int, result: Path) -> str:
    if not result.exists():
        tally.fail(binary.name, f"ended with {code} before its result was written\n{output[-4000:]}")
        return "crashed"
    count = failures = 0
    for suite in json.loads(result.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            name = f"{binary.name} {suite['name']}.{test['name']}"
            if test.get("failures"):
                failures += 1
                tally.fail(name, "\n".join(failure["failure"] for failure in test["failures"]))
            elif test["result"] == "SKIPPED":
                tally.skip(name, " ".join(skip.get("message", "") for skip in test.get("skipped", [])) or output[-300:])
            elif test["status"] == "RUN":
                count += 1
    tally.passed += count
    if code != 0 and failures == 0:
        tally.fail(binary.name, f"ended with {code} after its tests\n{output[-4000:]}")
    return f"{count} passed, {failures} failed"


def gtests(tally: Tally) -> None:
    binaries = sorted(path for path in BUILD.glob("src/strop/**/strop_*_test") if os.access(path, os.X_OK))
    if not binaries:
        tally.fail("C++ tests", f"{BUILD} holds no test binary: make build")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for binary, output, code, result, seconds in pool.map(run_gtest, binaries):
            report(binary.name, seconds, read_gtest(tally, binary, output, code, result))


def pytests(tally: Tally, marker: str) -> None:
    result = RESULTS / "pytest.xml"
    result.unlink(missing_ok=True)
    start = time.monotonic()
    run = subprocess.run([sys.executable, "-m", "pytest", "tests", "-q", "-p", "no:cacheprovider", "-m", marker,
                          f"--junitxml={result}"], cwd=ROOT,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if not result.exists():
        tally.fail("pytest", f"ended with {run.returncode} before its result was written\n{run.stdout[-4000:]}")
        return
    count = failures = 0
    for case in xml.etree.ElementTree.parse(result).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        problem = next((child for child in case if child.tag in ("failure", "error")), None)
        skipped = case.find("skipped")
        if problem is not None:
            failures += 1
            tally.fail(name, problem.text or problem.get("message", ""))
        elif skipped is not None:
            tally.skip(name, skipped.get("message", ""))
        else:
            count += 1
    tally.passed += count
    if run.returncode not in (0, 1, 5):
        tally.fail("pytest", f"ended with {run.returncode}\n{run.stdout[-4000:]}")
    report(f"pytest ({marker})", time.monotonic() - start, f"{count} passed, {failures} failed")


def main() -> int:
    wanted = sys.argv[1:] or ["core"]
    if unknown := set(wanted) - {"core", "slow"}:
        sys.exit(f"tests/run.py: {sorted(unknown)} is not a set of tests: core, slow")
    RESULTS.mkdir(parents=True, exist_ok=True)
    tally = Tally()
    if "core" in wanted:
        gtests(tally)
        pytests(tally, "not slow")
    if "slow" in wanted:
        pytests(tally, "slow")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
