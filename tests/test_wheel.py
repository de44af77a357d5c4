"""The wheel, built once, in fresh environments: what a user gets from `pip install .`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent

# Feeds numpy, tunes and serves with what the environment has.
USE = """
import sys, numpy as np
import strop
assert not {"torch", "pyarrow"} & set(sys.modules), "import strop loaded torch or pyarrow"
import strop.feed, strop.tune, strop.serve, strop.engine
loader = strop.feed.Loader(DATA, batch_size=500, format="numpy")
rows = sum(len(batch["label"]) for batch in loader)
assert rows == 10000, rows
batch = next(iter(loader))
study = strop.tune.Study(strop.tune.Space({"x": strop.tune.Float(-1.0, 1.0)}), direction="minimize", seed=0)
study.optimize(lambda trial: (trial.params["x"] - 0.3) ** 2, n_trials=12)
assert abs(study.best_params["x"] - 0.3) < 0.3, study.best_params
session = strop.engine.Session(MODEL)
logits = session.run({"image": batch["image"][:100]})["logits"]
assert (np.argmax(logits, 1) == batch["label"][:100]).mean() > 0.8
with strop.serve.Server({"fashion": MODEL}, http="127.0.0.1:0") as server:
    import json, urllib.request
    answer = json.load(urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/v2/models/fashion"))
    assert answer["name"] == "fashion"
assert "torch" not in sys.modules
print("used", rows)
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-q", "-w", out, ROOT],
                   check=True)
    (built,) = out.glob("strop-*.whl")
    return built


@pytest.fixture
def venv(tmp_path):
    """Makes a fresh environment with the given packages; answers its bin folder."""
    def make(*packages) -> Path:
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
        binaries = tmp_path / "venv/bin"
        subprocess.run([binaries / "pip", "install", "-q", *map(str, packages)], check=True)
        return binaries
    return make


def run_clean(command, cwd) -> str:
    """Without what the developer's shell would lend: no PYTHONPATH, no LD_LIBRARY_PATH, no build tree."""
    env = {key: value for key, value in os.environ.items()
           if not key.startswith(("STROP_", "LD_")) and key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    run = subprocess.run(list(map(str, command)), cwd=cwd, env=env, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=300)
    assert run.returncode == 0, run.stdout
    return run.stdout


def use(binaries, tmp_path, fashion) -> str:
    return run_clean([binaries / "python", "-c",
                      USE.replace("DATA", repr(str(fashion["test"]))).replace("MODEL", repr(str(fashion["model"])))],
                     tmp_path)


def test_works_with_neither_torch_nor_pyarrow(wheel, venv, tmp_path, fashion):
    binaries = venv(wheel)
    assert "used 10000" in use(binaries, tmp_path, fashion)
    listed = run_clean([binaries / "pip", "list"], tmp_path)
    assert "torch" not in listed and "pyarrow" not in listed
    for verb in ("tune", "compress", "serve", "feed"):
        assert verb in run_clean([binaries / "strop", "--help"], tmp_path)


def test_strop_train_says_that_torch_is_missing(wheel, venv, tmp_path, fashion):
    binaries = venv(wheel)
    run = subprocess.run([binaries / "strop", "train", fashion["model"], "--data", fashion["test"], "--label", "label",
                          "-o", tmp_path / "out.onnx"], text=True, capture_output=True)
    assert run.returncode == 1
    assert "torch" in run.stderr and "strop[train]" in run.stderr and len(run.stderr.strip().splitlines()) == 1


def test_works_beside_another_pyarrow(wheel, venv, tmp_path, fashion):
    binaries = venv(wheel, "pyarrow<26")
    for first in ("import pyarrow, pyarrow.parquet; ", ""):
        code = first + (f"import strop.feed; loader = strop.feed.Loader({str(fashion['test'])!r}, format='arrow');"
                        "import pyarrow; batch = next(iter(loader));"
                        "print(pyarrow.__version__, type(batch).__module__, batch.num_rows)")
        assert " 256" in run_clean([binaries / "python", "-c", code], tmp_path)
    assert "used 10000" in use(binaries, tmp_path, fashion)


def test_works_with_the_torch_of_the_requirements(wheel, venv, tmp_path, fashion):
    torch = next(line for line in (ROOT / "setup/requirements.txt").read_text().splitlines() if line.startswith("torch=="))
    binaries = venv(wheel, torch)
    code = (f"import torch, strop.feed; batch = next(iter(strop.feed.Loader({str(fashion['test'])!r})));"
            "print(batch['image'].dtype, tuple(batch['image'].shape), batch['image'].data_ptr() % 64)")
    assert "torch.uint8 (256, 1, 28, 28) 0" in run_clean([binaries / "python", "-c", code], tmp_path)
    run_clean([binaries / "strop", "train", fashion["model"], "--data", fashion["test"], "--label", "label", "-o",
               tmp_path / "out.onnx", "--epochs", "1"], tmp_path)
    assert (tmp_path / "out.onnx").exists()
