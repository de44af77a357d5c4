"""Stores that cannot be used as they should, with one clear error each and nothing lost; and PostgreSQL."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import postgres_server
import pytest
from conftest import BUILD

import strop
from strop.tune import Float, Int, Space, Study

SPACE = Space({"x": Float(-5, 10), "n": Int(1, 100)})


def told(storage: str, trials: int = 3) -> Study:
    study = Study(SPACE, storage=storage, seed=1)
    study.optimize(lambda trial: trial.params["x"], n_trials=trials)
    return study


def values(storage: str) -> list[float]:
    return [trial.value for trial in Study.load(storage).trials if trial.state == "done"]


def run_python(code: str, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], capture_output=True,
                          text=True, timeout=100)


# ---- SQLite files that do not serve ----------------------------------------------------------------------------------


@pytest.fixture
def open_folder():
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="strop-store-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


# Permissions do not stop root, so it becomes nobody.
AS_ORDINARY_USER = """
    import os, sys, strop
    from strop.tune import Study
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        Study(storage=sys.argv[1]).ask()
    except strop.Error as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("folder_mode", [0o777, 0o555], ids=["file", "file and folder"])
def test_a_store_that_may_not_be_written(open_folder, folder_mode):
    file = open_folder / "study.db"
    before = [trial.value for trial in told(f"sqlite:///{file}").trials]
    file.chmod(0o444)
    open_folder.chmod(folder_mode)
    run = run_python(AS_ORDINARY_USER, f"sqlite:///{file}")
    assert not run.stderr
    assert run.stdout == f"Io {file}: attempt to write a readonly database; the file and its folder must be writable\n"
    open_folder.chmod(0o755)
    file.chmod(0o644)
    assert values(f"sqlite:///{file}") == before


def test_a_disk_that_is_full_loses_nothing_told(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    run = run_python("""
        import resource, sys, strop
        from strop.tune import Float, Study
        study = Study({"x": Float(0, 1)}, storage=sys.argv[1], sampler="random")
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))  # of the WAL and of the file
        errors, trial = [], None
        while len(errors) < 3:
            try:
                trial = study.ask()
                value = trial.params["x"]
                study.tell(trial, value)
                print(trial.number, repr(value))
            except strop.Error as error:
                errors.append(f"{type(error).__name__} {error}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        trial = study.ask()  # space was made: the same study goes on
        study.tell(trial, 2.0)
        print(trial.number, 2.0)
        print("\\n".join(errors), file=sys.stderr)
    """, storage)
    assert [line.removesuffix(" (File too large)") for line in run.stderr.splitlines()] == [
        f"Io {tmp_path}/study.db: disk I/O error"] * 3
    acknowledged = {int(line.split()[0]): float(line.split()[1]) for line in run.stdout.splitlines()}
    assert len(acknowledged) > 10
    trials = Study.load(storage).trials
    assert {trial.number: trial.value for trial in trials if trial.state == "done"} == acknowledged
    with sqlite3.connect(tmp_path / "study.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow  # waits for the 30 s
def test_a_store_that_another_process_keeps_locked(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    study = told(storage)
    trial = study.ask()
    with sqlite3.connect(tmp_path / "study.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with pytest.raises(strop.Timeout, match="study.db: database is locked; another process has been writing"):
            study.tell(trial, 1.0)
        assert 29 < time.monotonic() - start < 60
        assert study.trials[3].state == "running"  # readers do not wait
        other.execute("ROLLBACK")
    study.tell(trial, 1.0)
    assert values(storage)[3] == 1.0


def test_a_store_of_a_newer_strop(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    before = [trial.value for trial in told(storage).trials]
    with sqlite3.connect(tmp_path / "study.db") as database:
        steps, = database.execute("SELECT max(step) FROM migrations WHERE room = 'tune'").fetchone()
        database.execute("INSERT INTO migrations VALUES ('tune', ?, 0)", (steps + 1,))
    with pytest.raises(strop.FailedPrecondition,
                       match=f"study.db was written by a newer Strop: its tune tables are at step {steps + 1}, and "
                             f"this one knows {steps}; update Strop"):
        told(storage)
    with sqlite3.connect(tmp_path / "study.db") as database:
        assert [value for value, in database.execute("SELECT value FROM trials ORDER BY number")] == before


@pytest.mark.parametrize("damage", ["no database", "cut in half", "a folder"])
def test_a_file_that_is_not_a_whole_store(tmp_path, damage):
    file = tmp_path / "study.db"
    if damage == "no database":
        file.write_bytes(b"PK" + bytes(10000))
    elif damage == "cut in half":
        told(f"sqlite:///{file}")
        os.truncate(file, file.stat().st_size // 2)
    else:
        file.mkdir()
    before = file.read_bytes() if file.is_file() else None
    error = strop.Io if damage == "a folder" else strop.Corrupt
    with pytest.raises(error, match=f"^{re.escape(str(file))}: ") as caught:
        told(f"sqlite:///{file}")
    assert "\n" not in str(caught.value)
    assert before is None or file.read_bytes() == before


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("room", ["store", "loop", "watch"])
def test_the_tests_of_a_room_hold_on_postgresql(postgres, room):
    run = subprocess.run([BUILD / f"src/strop/{room}/strop_{room}_test", "--gtest_filter=*/postgresql"],
                         env={**os.environ, "STROP_TEST_POSTGRES": postgres.new_database()}, capture_output=True,
                         text=True, timeout=300)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr
    passed = int(re.search(r"\[  PASSED  \] (\d+) tests", run.stdout)[1])
    assert passed >= {"store": 25, "loop": 5, "watch": 10}[room] and "SKIPPED" not in run.stdout
    assert postgres_server.PASSWORD not in run.stdout + run.stderr


@pytest.mark.slow
def test_a_study_in_postgresql_is_the_study_in_sqlite(postgres):
    storage = postgres.new_database()
    code = """
        import sys
        from strop.tune import Float, Int, Space, Study
        study = Study(Space({"x": Float(-5, 10), "n": Int(1, 100)}), storage=sys.argv[1], study_name="s", seed=1)
        study.optimize(lambda t: (t.params["x"] - 2) ** 2 + (t.params["n"] / 10 - 3) ** 2, n_trials=15)
        study.tell(study.ask(), state="fail")
        trial = study.ask()
        trial.report(0.5, 1)
        study.tell(trial, float("inf"))
    """
    for _ in range(2):
        run = run_python(code, storage)
        assert run.returncode == 0, run.stderr
    here = Study(SPACE, study_name="s", seed=1)
    for _ in range(2):
        here.optimize(lambda t: (t.params["x"] - 2) ** 2 + (t.params["n"] / 10 - 3) ** 2, n_trials=15)
        here.tell(here.ask(), state="fail")
        trial = here.ask()
        trial.report(0.5, 1)
        here.tell(trial, float("inf"))
    there = Study.load(storage, "s")

    def seen(study):
        return [(t.number, t.state, t.params, t.value, t.error, t.intermediate_values, t.sampler) for t in study.trials]

    assert len(there.trials) == 34 and seen(there) == seen(here)
    assert there.best_value == here.best_value


@pytest.mark.slow
def test_a_study_outlives_its_server(postgres):
    study = told(postgres.new_database())
    trial = study.ask()
    postgres.control("stop")
    starting = threading.Timer(3, postgres.control, ["start"])
    starting.start()
    study.tell(trial, 0.5)
    starting.join()
    assert study.trials[3].value == 0.5 and study.ask().number == 4


@pytest.mark.slow
def test_studies_of_one_name_with_different_spaces_are_refused(postgres):
    storage = postgres.new_database()
    told(storage)
    with pytest.raises(strop.InvalidArgument, match='study "study" was made with another search space .*"n" differs'):
        Study(Space({"x": Float(-5, 10), "n": Int(1, 99)}), storage=storage)
    with pytest.raises(strop.AlreadyExists) as exists:
        Study(SPACE, storage=storage, load_if_exists=False)
    with pytest.raises(strop.NotFound, match='study "other" is not in postgresql://strop@127.0.0.1:') as missing:
        Study.load(storage, "other")
    for error in (exists, missing):
        assert postgres_server.PASSWORD not in str(error.value) and storage not in str(error.value)
    assert len(Study(SPACE, storage=storage).trials) == 3


@pytest.mark.slow
def test_strop_tune_keeps_its_study_in_postgresql(postgres, strop_bin, tmp_path):
    storage = postgres.new_database()
    (tmp_path / "strop.toml").write_text(f"""
[train]
command = ["sh", "-c", "echo loss={{x}}"]
[tune]
trials = 5
metric = "loss"
storage = {json.dumps(storage)}
[tune.space.x]
type = "float"
low = 0
high = 1
""")
    command = [strop_bin / "strop-tune", tmp_path / "strop.toml", "--json"]
    runs = [subprocess.run(command, capture_output=True, text=True) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    assert json.loads(runs[0].stdout.splitlines()[-1]) == json.loads(runs[1].stdout.splitlines()[-1])
    assert postgres_server.PASSWORD not in "".join(run.stdout + run.stderr for run in runs)
    name = postgres.run("psql", "-At", "-c", "SELECT name, count(*) FROM study JOIN trials ON study = id GROUP BY name",
                        storage.rsplit("/", 1)[1])
    assert name.strip().endswith("|5")
