"""The Accelerate example, with Accelerate installed beside the packages that the tests have."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "feed" / "hf_accelerate.py"


@pytest.fixture(scope="module")
def accelerate(tmp_path_factory):
    environment = tmp_path_factory.mktemp("accelerate") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")  # torch is there already
    subprocess.run([environment / "bin/pip", "install", "-q", "accelerate==1.15.0"], check=True, timeout=300)
    return environment / "bin/accelerate"


def train(accelerate, data, checkpoint, *options, processes=2):
    ranks = ["--multi_gpu"] if processes > 1 else []
    command = [accelerate, "launch", *ranks, "--num_processes", processes, EXAMPLE, data, "--batch-size", 500,
               "--checkpoint", checkpoint, *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=180,
                          env={**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_stopped_run_ends_with_the_weights_of_one_that_was_not(accelerate, fashion, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert "epoch 0: [steps, rows] of each rank [[10, 5000], [10, 5000]]" in train(accelerate, fashion["test"], whole)
    assert train(accelerate, fashion["test"], parts, "--save-every", 4, "--stop-after", 6) == ""
    assert "of each rank [[6, 3000], [6, 3000]]" in train(accelerate, fashion["test"], parts)
    # Any other batch, order or number of steps would end in other weights.
    assert (parts / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_one_process_goes_on_with_the_rows_that_two_left(accelerate, fashion, tmp_path):
    train(accelerate, fashion["test"], tmp_path / "run", "--save-every", 4, "--stop-after", 4)
    assert "of each rank [[12, 6000]]" in train(accelerate, fashion["test"], tmp_path / "run", processes=1)
