"""What every test finds: the build under test, its verbs, and Fashion-MNIST."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import postgres_server
import pytest

# In the background of a shell Ctrl-C is ignored, which processes hand on; what tests start must hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
BUILD = (ROOT / os.environ.get("STROP_BUILD", "build/dev")).resolve()

# The package of the build tree, here and in every process that a test starts.
sys.path.insert(0, str(BUILD))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BUILD), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session")
def strop_bin() -> Path:
    folder = BUILD / "strop" / "bin"
    assert folder.is_dir(), f"{folder} is missing: build first, or name the build folder in STROP_BUILD"
    return folder


@pytest.fixture(scope="session")
def strop(strop_bin):
    """Runs `strop ARGUMENTS…` and answers subprocess's result, with stdout and stderr as text."""

    def run(*arguments, timeout=120, **options):
        command = [strop_bin / "strop", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)

    return run


@pytest.fixture(scope="session")
def fashion() -> dict[str, Path]:
    folder = ROOT / "build" / "data" / "fashion"
    files = {"train": folder / "train.parquet", "test": folder / "test.parquet", "model": folder / "model.onnx"}
    for file in files.values():
        assert file.is_file(), f"{file} is missing: 'make data' makes it"
    return files


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server; its new_database() answers the URL of an empty store."""
    with postgres_server.running() as server:
        yield server
