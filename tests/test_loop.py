"""The closed loop as its user runs it: `strop run --once` on a small project, with a kill -9 halfway."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

HERE = Path(__file__).resolve().parent / "loop"
PROJECT = """
[data]
train = "train.parquet"
label = "label"
[train]
command = ["{python}", "{trainer}"]
budget = 4
retrain_budget = 10
retrain_learning_rate = 1e-2
[tune]
study = "test"
trials = 3
jobs = 2
metric = "accuracy"
direction = "maximize"
[tune.space.learning_rate]
type = "float"
low = 0.02
high = 0.3
log = true
[compress]
max_drop = 0.05
[serve]
name = "digits"
http = "127.0.0.1:0"
threads = 1
[watch]
window = 100
reference_rows = 1000
uniform_share = 0.5
[loop]
retrain_labels = 300
validation_labels = 200
companion = ["{python}", "{companion}"]
"""


@pytest.fixture
def project(tmp_path, fashion):
    pq.write_table(pq.read_table(fashion["train"])[:12000], tmp_path / "train.parquet", row_group_size=1280)
    pq.write_table(pq.read_table(fashion["test"])[:3000], tmp_path / "stream.parquet")
    (tmp_path / "strop.toml").write_text(PROJECT.format(python=sys.executable, trainer=HERE / "trainer.py",
                                                        companion=HERE / "companion.py"))
    return tmp_path


def start(strop_bin, project, drift="flip"):
    env = os.environ | {"STROP_TEST_DATA": str(project / "stream.parquet"), "STROP_TEST_DRIFT": drift}
    return subprocess.Popen([strop_bin / "strop", "run", "--once", "--json"], cwd=project, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def events(project):
    database = project / ".strop/strop.db"
    if not database.exists():
        return []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        try:
            return [row[0] for row in connection.execute("SELECT event FROM events WHERE room = 'loop' ORDER BY id")]
        except sqlite3.OperationalError:
            return []


def wait_for(project, event, process, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if event in events(project):
            return
        if process.poll() is not None:
            pytest.fail(f"strop run ended with {process.returncode} before '{event}': {process.stderr.read()}")
        time.sleep(0.05)
    pytest.fail(f"no '{event}' within {seconds} s; there were {events(project)}")


def test_the_loop_closes_and_goes_on_after_kill_minus_9(strop_bin, project):
    process = start(strop_bin, project)
    wait_for(project, "trained", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert events(project).count("tuned") == 1

    process = start(strop_bin, project)
    wait_for(project, "labelled", process)
    process.send_signal(signal.SIGKILL)
    process.wait()

    process = start(strop_bin, project)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    story = events(project)
    for once in ("tuned", "trained", "compressed", "labelled", "swapped"):
        assert story.count(once) == 1, (once, story)
    champion = json.loads(output.strip().splitlines()[-1])["champion"]
    assert champion.endswith("r1-int8.onnx")
    with sqlite3.connect(project / ".strop/strop.db") as connection:
        evidence = json.loads(connection.execute("SELECT detail FROM events WHERE event = 'validated'").fetchone()[0])
    assert evidence["decision"] == "promoted" and evidence["rows"] == 200 and evidence["interval"][0] >= 0

    status = json.loads(subprocess.run([strop_bin / "strop", "status", "--json"], cwd=project, text=True, check=True,
                                       stdout=subprocess.PIPE).stdout)
    assert status["running"] is False and status["round"] == 1 and status["champion"] == champion


def test_a_rejected_retraining_is_tried_again_with_more_labels(strop_bin, project):
    # A linear model cannot be right on images and on their negatives, so the first retraining is rejected.
    process = start(strop_bin, project, "invert")
    wait_for(project, "rejected", process)
    deadline = time.monotonic() + 60
    while events(project).count("labelled") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    with sqlite3.connect(project / ".strop/strop.db") as connection:
        rounds = [json.loads(row[0])["labels"]
                  for row in connection.execute("SELECT detail FROM events WHERE event = 'labelled' ORDER BY id")]
    assert len(rounds) >= 2 and rounds[1] >= rounds[0] + 300


def test_interrupt_keeps_the_place(strop_bin, project):
    process = start(strop_bin, project)
    wait_for(project, "tuned", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert "tuned" in events(project)


def test_only_one_loop_a_project(strop_bin, project):
    first = start(strop_bin, project)
    try:
        deadline = time.monotonic() + 30
        while not (project / ".strop/loop.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        second = start(strop_bin, project)
        _, errors = second.communicate(timeout=30)
        assert second.returncode == 1
        assert "loop.sock" in errors and len(errors.strip().splitlines()) == 1
    finally:
        first.kill()
        first.communicate()


def test_a_crashing_trainer_ends_the_loop_with_its_last_words(strop_bin, project):
    broken = project / "broken.py"
    broken.write_text("raise SystemExit('the GPU is on fire')")
    text = (project / "strop.toml").read_text().replace(str(HERE / "trainer.py"), str(broken))
    (project / "strop.toml").write_text(text)
    process = start(strop_bin, project)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the GPU is on fire" in errors


def test_status_before_the_first_run_says_so(strop_bin, project):
    run = subprocess.run([strop_bin / "strop", "status"], cwd=project, text=True, capture_output=True)
    assert run.returncode == 1
    assert "has not run yet" in run.stderr and len(run.stderr.strip().splitlines()) == 1
