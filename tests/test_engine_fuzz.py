"""Damaged models run or are refused in one line: no crash, no hang, no memory without bound (CONTRIBUTING.md)."""

import random
import re
import subprocess

import pytest
from conftest import BUILD

FUZZER = BUILD / "src" / "strop" / "engine" / "strop_engine_fuzz"


def campaign(seconds, seed, out):
    command = [FUZZER, "--seconds", seconds, "--seed", seed, "--out", out]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, errors="replace", timeout=seconds + 120)
    print(run.stdout)
    assert run.returncode == 0, f"seed {seed}: {run.stdout}{run.stderr}"
    mutants, ran, refused = map(int, re.search(r"(\d+) mutants in \d+ s: (\d+) ran, (\d+) were refused", run.stdout).groups())
    assert mutants == ran + refused
    return mutants, ran


def test_damaged_models(tmp_path):
    mutants, ran = campaign(20, 6, tmp_path)
    assert mutants > 50 and ran > 5


@pytest.mark.slow
def test_damaged_models_for_five_minutes(tmp_path):
    campaign(300, random.SystemRandom().randrange(2**32), tmp_path)


def test_a_model_that_is_no_mutant_is_replayed_too(tmp_path):
    (tmp_path / "empty.onnx").write_bytes(b"")
    run = subprocess.run([FUZZER, "--replay", tmp_path / "empty.onnx"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and run.stdout.endswith("0 ran, 3 were refused, 0 findings\n")
    assert "is not a valid ONNX model: it is empty" in run.stdout
