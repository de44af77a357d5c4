"""64 processes in one study, killed at random: what was told is in the store, once, nobody sees a lock, and the event log
explains every suggestion."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from strop.tune import Study

PROCESSES = 64


def told_by(folder: Path) -> list[tuple[int, float]]:
    """What the processes wrote down; a line without its end was not written to the end."""
    lines = [line for file in folder.glob("*.told") for line in file.read_text().splitlines(keepends=True)]
    return [(int(number), float(value)) for number, value in (line.split() for line in lines if line.endswith("\n"))]


def check(storage: str, folder: Path, seconds: float) -> None:
    folder.mkdir()
    run = subprocess.run([sys.executable, Path(__file__).with_name("tune_processes.py"), storage, folder,
                          str(PROCESSES), str(seconds), "1", "auto"], capture_output=True, text=True, timeout=seconds + 120)
    printed = "".join(file.read_text() for file in folder.glob("*.printed"))
    assert run.returncode == 0 and not run.stderr and not printed, run.stderr + printed[-4000:]
    result = json.loads(run.stdout)
    assert result["statuses"] == [0] * PROCESSES and result["kills"] > seconds

    told = told_by(folder)
    assert len(told) > PROCESSES
    assert [number for number, times in Counter(number for number, _ in told).items() if times > 1] == []
    study = Study.load(storage, "shared")
    trials = study.trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    lost = [(number, value) for number, value in told
            if trials[number].state != "done" or trials[number].value != value]
    assert lost == []
    # A tell that a kill came before the writing down of is in the store too: at most one a kill.
    assert 0 <= sum(trial.state == "done" for trial in trials) - len(told) <= result["kills"]
    assert max(trial.attempts for trial in trials) > 1  # the kills met running trials
    assert study.replay() == []


def test_64_processes_share_a_sqlite_study_through_kills(tmp_path):
    check(f"sqlite:///{tmp_path}/study.db", tmp_path / "run", 15)
    with sqlite3.connect(tmp_path / "study.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_64_processes_share_a_postgresql_study_through_kills(tmp_path, postgres):
    check(postgres.new_database(), tmp_path / "run", 25)
