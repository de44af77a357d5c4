"""Studies from Python, trainers by hand and under strop tune, and what strop tune survives."""

import dataclasses
import json
import math
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import strop
from strop.tune import Choice, Exhausted, Float, Int, Space, Study, TrialPruned

SPACE = Space({"x": Float(-5, 10), "n": Int(1, 100)})


def bowl(params):
    return (params["x"] - 2) ** 2 + (params["n"] / 10 - 3) ** 2


def objective(trial):
    return bowl(trial.params)


# ---- Study -----------------------------------------------------------------------------------------------------------


def test_several_objectives_and_outcome_constraints():
    study = Study({"x": Float(-10, 10)}, direction=["minimize", "minimize"], seed=1, sampler="gp")

    def schaffer(trial):
        x = trial.params["x"]
        trial.set_constraint("above", 0.5 - x)  # x >= 0.5
        return x**2, (x - 2) ** 2

    study.optimize(schaffer, n_trials=25)
    front = study.best_trials
    assert len(front) >= 5 and all(0.5 <= t.params["x"] <= 2.1 and t.feasible for t in front)
    assert front[0].values[0] == front[0].params["x"] ** 2 and front[0].value is None
    assert {t.sampler for t in study.trials} == {"sobol", "gp"}
    table = study.to_arrow()
    assert table["value_1"].to_pylist() == [t.values[1] for t in study.trials]


def test_an_outcome_constraint_is_kept_by_name_however_its_trial_is_told(tmp_path):
    storage = tmp_path / "study.db"
    study = Study(SPACE, storage=storage)
    for number, told in enumerate([{"memory": 5.0, "latency": -1.0}, {"latency": 2.0}, {"latency": -3.0, "memory": 0.0}]):
        trial = study.ask()
        for name, value in told.items():
            trial.set_constraint(name, value)
        study.tell(trial.number, float(number))
    with pytest.raises(strop.InvalidArgument, match='constraint "memory" is inf: expected a finite number'):
        study.ask().set_constraint("memory", math.inf)
    with pytest.raises(strop.FailedPrecondition, match="already done"):
        trial.set_constraint("memory", 1)
    again = Study.load(storage)
    assert [t.constraints for t in again.trials[:2]] == [{"memory": 5.0, "latency": -1.0}, {"latency": 2.0}]
    assert [t.feasible for t in again.trials] == [False, False, True, True] and again.best_trial.number == 2
    assert again.to_arrow()["constraint_memory"].to_pylist() == [5.0, None, 0.0, None]


def test_a_value_that_cannot_be_stored_now_is_no_failed_trial():
    study = Study(SPACE)
    inner = study._study

    class Locked:
        def __getattr__(self, name):
            return getattr(inner, name)

        def tell(self, *_):
            raise strop.Timeout("locked")

    study._study = Locked()
    with pytest.raises(strop.Timeout, match="locked"):
        study.optimize(objective, n_trials=1, catch=(Exception,))
    assert study.trials[0].state == "running"
    inner.tell(0, [1.5])
    assert study.best_value == 1.5


def test_values_of_any_kind_of_sequence():
    study = Study(SPACE, direction=["minimize", "maximize"])
    study.optimize(lambda trial: np.array([1.0, trial.number]), n_trials=2)
    study.tell(study.ask(), (float(x) for x in range(2)))
    assert [t.values for t in study.trials] == [[1, 0], [1, 1], [0, 1]]
    with pytest.raises(strop.InvalidArgument, match="1 values: .* has 2 objectives"):
        study.optimize(lambda trial: 1.0, n_trials=1)
    assert study.trials[3].state == "failed"


def test_steps_and_constraints_of_the_space_hold():
    space = Space({"batch": Int(16, 128, step=16), "dropout": Float(0, 0.5, step=0.1), "steps": Int(1, 8)},
                  constraints=["batch * steps <= 256"])
    study = Study(space)
    study.optimize(lambda t: -t.params["batch"] * t.params["steps"] + t.params["dropout"], n_trials=30)
    for trial in study.trials:
        assert trial.params["batch"] % 16 == 0 and trial.params["batch"] * trial.params["steps"] <= 256
        assert round(trial.params["dropout"] * 10, 9).is_integer()
    assert study.best_value == -256
    with pytest.raises(strop.InvalidArgument, match='"width" is not in the space'):
        Space({"batch": Int(1, 2)}, constraints=["batch * width < 3"])
    by_run = Study(direction="maximize")
    by_run.optimize(lambda t: t.suggest_int("n", 0, 100, step=25) + t.suggest_float("x", 0, 1, step=0.25), n_trials=8)
    assert all(t.params["n"] % 25 == 0 and (4 * t.params["x"]).is_integer() for t in by_run.trials)


def test_ask_and_tell():
    study = Study(SPACE, seed=3)
    trial = study.ask()
    assert set(trial.params) == {"x", "n"} and isinstance(trial.params["n"], int)
    trial.report(0.5, 1)
    assert trial.should_prune() is False
    study.tell(trial, 0.25)
    assert study.best_value == 0.25 and study.best_params == trial.params and study.best_trial.number == 0
    assert study.best_trial.intermediate_values == {1: 0.5}
    with pytest.raises(strop.FailedPrecondition, match='trial 0 of study "study" is already done'):
        study.tell(trial, 1)
    study.tell(study.ask(), state="fail")
    study.tell(study.ask(), math.nan)
    study.tell(study.ask().number, state="pruned")
    assert [t.state for t in study.trials] == ["done", "failed", "failed", "pruned"]
    assert len(study.best_trials) == 1


def test_fifty_trials_equal_twenty_five_restart_twenty_five(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    code = f"""
        from strop.tune import Float, Int, Space, Study
        study = Study(Space({{"x": Float(-5, 10), "n": Int(1, 100)}}), storage="{storage}", study_name="s", seed=1)
        study.optimize(lambda t: (t.params["x"] - 2) ** 2 + (t.params["n"] / 10 - 3) ** 2, n_trials=25)
    """
    for _ in range(2):
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
    halves = Study.load(storage, "s")
    whole = Study(SPACE, seed=1)
    whole.optimize(objective, n_trials=50)
    assert [t.params for t in halves.trials] == [t.params for t in whole.trials]
    assert whole.best_value < 0.05


def test_optimize_in_threads_with_timeout_and_failures():
    study = Study(SPACE, sampler="random")
    barrier = threading.Barrier(2, timeout=20)

    def together(trial):
        barrier.wait()
        if trial.number % 4 == 3:
            raise ValueError("bad\nluck")
        if trial.number % 4 == 2:
            trial.report(7, 1)
            raise TrialPruned
        return trial.params["x"]

    study.optimize(together, n_trials=8, n_jobs=2, catch=(ValueError,))
    states = [t.state for t in study.trials]
    assert states.count("done") == 4 and states.count("failed") == 2 and states.count("pruned") == 2
    assert study.trials[3].error == "ValueError: bad luck" and study.trials[2].value == 7
    with pytest.raises(ZeroDivisionError):
        study.optimize(lambda trial: 1 / 0, n_trials=3)
    start = time.monotonic()
    study.optimize(lambda trial: time.sleep(0.1) or 1.0, timeout=0.5)
    assert time.monotonic() - start < 5


def test_define_by_run_is_learnt():
    study = Study(direction="maximize", seed=2)

    def run(trial):
        opt = trial.suggest_categorical("opt", ["sgd", "adam"])
        rate = trial.suggest_float("rate", 1e-5, 1, log=True)
        momentum = trial.suggest_float("momentum", 0, 1) if opt == "sgd" else 0
        return -((math.log10(rate) + 2) ** 2) + momentum + trial.suggest_int("layers", 1, 4) * 0.1

    study.optimize(run, n_trials=30)
    assert study.best_value > 1
    assert all(("momentum" in t.params) == (t.params["opt"] == "sgd") for t in study.trials)
    with pytest.raises(strop.InvalidArgument, match='"rate".*another range'):
        study.ask().suggest_float("rate", 0, 1)


def test_discrete_space_runs_out():
    study = Study(Space({"n": Int(1, 3), "c": Choice(["a", "b"])}))
    study.optimize(lambda t: t.params["n"], n_trials=50)
    assert len(study.trials) == 6 and len({tuple(t.params.items()) for t in study.trials}) == 6
    with pytest.raises(Exhausted, match="exhausted: all 6 configurations"):
        study.ask()


def test_conditional_space_and_its_errors():
    space = Space({"opt": Choice(["sgd", "adam"]), "momentum": Float(0, 1, when={"opt": "sgd"})})
    study = Study(space)
    study.optimize(lambda t: t.params.get("momentum", 0.5), n_trials=12)
    assert {("momentum" in t.params) for t in study.trials} == {True, False}
    assert all(("momentum" in t.params) == (t.params["opt"] == "sgd") for t in study.trials)
    with pytest.raises(strop.InvalidArgument, match='"x": low = 2 is above high = 1'):
        Space({"x": Float(2, 1)})
    with pytest.raises(strop.InvalidArgument, match='"n"'):
        Space({"n": Int(1.5, "a")})
    with pytest.raises(strop.InvalidArgument, match="not in the space"):
        Space({"x": Float(0, 1, when={"opt": "sgd"})})
    with pytest.raises(strop.InvalidArgument, match="expected Float, Int or Choice"):
        Space({"x": (0, 1)})
    with pytest.raises(ValueError, match="expected one of"):
        space.check({"opt": "rms"})


def test_what_is_not_built_says_so(tmp_path):
    with pytest.raises(strop.InvalidArgument, match='sampler "best": expected auto, gp, tpe, cmaes, random, sobol or grid'):
        Study(SPACE, sampler="best")
    with pytest.raises(strop.Unsupported, match="pruner"):
        Study(SPACE, pruner="asha")
    with pytest.raises(strop.InvalidArgument, match='direction "up": expected minimize or maximize'):
        Study(SPACE, direction=["minimize", "up"])
    with pytest.raises(strop.InvalidArgument, match="0: 1 values: .* has 2 objectives"):
        two = Study(SPACE, direction=["minimize", "maximize"])
        two.tell(two.ask(), 1.0)
    with pytest.raises(strop.FailedPrecondition, match="Pareto front"):
        two.best_trial  # noqa: B018
    with pytest.raises(strop.NotFound, match='study "s" is not in'):
        Study.load(f"sqlite:///{tmp_path}/none.db", "s")
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(strop.FailedPrecondition, match="no finished and feasible trial"):
        Study(SPACE).best_value  # noqa: B018
    Study(SPACE, storage=f"sqlite:///{tmp_path}/s.db")
    with pytest.raises(strop.AlreadyExists):
        Study(SPACE, storage=f"sqlite:///{tmp_path}/s.db", load_if_exists=False)


def test_to_arrow():
    study = Study(SPACE, sampler="sobol")
    study.optimize(objective, n_trials=4)
    table = study.to_arrow()
    assert table.num_rows == 4 and table["value"].to_pylist() == [t.value for t in study.trials]
    assert table["params_n"].to_pylist() == [t.params["n"] for t in study.trials]


def test_a_killed_process_loses_nothing_told_and_its_trial_is_run_again(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    code = f"""
        import os, signal
        from strop.tune import Float, Int, Space, Study
        study = Study(Space({{"x": Float(-5, 10), "n": Int(1, 100)}}), storage="{storage}", seed=1)
        for _ in range(6):
            trial = study.ask()
            study.tell(trial, (trial.params["x"] - 2) ** 2 + (trial.params["n"] / 10 - 3) ** 2)
        study.ask()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode == -signal.SIGKILL
    study = Study.load(storage)
    assert [t.state for t in study.trials] == ["done"] * 6 + ["running"]
    study.optimize(objective, n_trials=4)
    whole = Study(SPACE, seed=1)
    whole.optimize(objective, n_trials=10)
    assert [t.params for t in study.trials] == [t.params for t in whole.trials]
    assert study.trials[6].attempts == 2


def test_trainers_need_nothing_built():
    code = "import sys, strop; strop.trial(); print([m for m in sys.modules if '_tune' in m or m in ('numpy', 'torch')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/tmp")
    assert run.stdout.strip() == "[]"


# ---- strop tune ------------------------------------------------------------------------------------------------------

TRAINER = """
import sys, time, strop
trial = strop.trial(defaults={"x": 1.0, "n": 3, "kind": "a", "deep": False})
p = trial.params
value = (p["x"] - 2) ** 2 + (p["n"] - 3) ** 2
for step in range(1, 3):
    trial.report(value + 1 / step - 0.5, step)
(trial.out_dir / "model.onnx").write_text(f"budget {trial.budget} x {p['x']}")
trial.save(model=trial.out_dir / "model.onnx")
"""


@pytest.fixture
def project(tmp_path):
    def write(trainer=TRAINER, command=None, **tune):
        (tmp_path / "train.py").write_text(trainer)
        lines = ["[train]", "budget = 5", f"command = {json.dumps(command or [sys.executable, 'train.py'])}", "[tune]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in ({"trials": 8, "metric": "loss"} | tune).items()]
        lines += ["[tune.space.x]", 'type = "float"', "low = -5", "high = 10",
                  "[tune.space.n]", 'type = "int"', "low = 1", "high = 8"]
        (tmp_path / "strop.toml").write_text("\n".join(lines) + "\n")
        return tmp_path / "strop.toml"

    return write


def trials_of(project):
    return Study.load(f"sqlite:///{project.parent}/.strop/strop.db").trials


def test_study_of_a_trainer_and_its_final_model(project, strop_bin, tmp_path):
    file = project(jobs=2)
    tune = strop_bin / "strop-tune"
    run = subprocess.run([tune, file, "--json"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    trials = trials_of(file)
    best = min(trials, key=lambda t: t.value)
    assert result == {"best": {"trial": best.number, "params": best.params, "value": best.value}, "trials": 8, "failed": 0}
    assert best.intermediate_values == pytest.approx({1: best.value + 0.5, 2: best.value})

    again = subprocess.run([tune, file, "--json"], capture_output=True, text=True)
    assert json.loads(again.stdout) == result and len(trials_of(file)) == 8

    model = tmp_path / "models" / "best.onnx"
    final = subprocess.run([tune, file, "--final", "-o", model, "--json"], capture_output=True, text=True)
    assert final.returncode == 0, final.stderr
    assert json.loads(final.stdout) == {"model": str(model), "value": best.value, "params": best.params}
    assert model.read_text() == f"budget 5 x {best.params['x']}" or model.read_text() == f"budget 5.0 x {best.params['x']}"


def test_table_for_people(project, strop_bin):
    run = subprocess.run([strop_bin / "strop-tune", project(trials=3)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["trial", "loss", "n", "x"] and len(lines) == 5 and lines[-1] == "3 trials, 0 failed"
    values = [float(line.split()[1]) for line in lines[1:4]]
    assert values == sorted(values)


def test_a_command_that_knows_nothing_of_strop(project, strop_bin):
    file = project(trials=4)
    script = "echo epoch 1/{budget}; echo loss={x}; echo seed {seed} done"
    run = subprocess.run([strop_bin / "strop-tune", file, "--json", "--", "sh", "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert [t.value for t in trials_of(file)] == [t.params["x"] for t in trials_of(file)]


@pytest.mark.parametrize(("trainer", "error"), [
    ("raise SystemExit('no luck')", "trainer ended with status 1: no luck"),
    ("import os; os.kill(os.getpid(), 9)", "trainer was killed by signal 9"),
    ("import time; print('loss=1'); time.sleep(60)", "trainer was silent for 1.5 s and was stopped: loss=1"),
    ("import strop; strop.trial().report(1, 1, other=2); strop.trial().report(float('nan'), 2)", "loss = nan"),
    ("import strop; strop.trial().report(other=2)", 'trainer reported other: expected metric "loss"'),
    ("print('hello')", 'no number: expected metric "loss"'),
    ("import os, socket, time; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['STROP_TRIAL'])\n"
     "s.sendall(b'caf\\xe9\\n'); time.sleep(60)", "is not a message"),
], ids=["crash", "killed", "hang", "nan", "another metric", "no number", "no text"])
def test_trainers_that_fail(project, strop_bin, trainer, error):
    file = project(trainer, trials=2, trial_timeout="1500ms" if "sleep" in trainer else "20s")
    run = subprocess.run([strop_bin / "strop-tune", file, "--json"], capture_output=True, text=True)
    assert run.returncode == 1 and run.stdout == ""
    assert error in run.stderr.splitlines()[-1] and run.stderr.splitlines()[-1].startswith("strop tune: none of 2 trials")
    assert [t.state for t in trials_of(file)] == ["failed"] * 2 and all(error in t.error for t in trials_of(file))


def test_study_goes_on_after_a_crash(project, strop_bin):
    crashing = "import strop\nif strop.trial().number % 2: raise SystemExit(3)\n" + TRAINER
    file = project(crashing, trials=6)
    run = subprocess.run([strop_bin / "strop-tune", file, "--json"], capture_output=True, text=True)
    result = json.loads(run.stdout)
    assert run.returncode == 0 and result["trials"] == 6 and result["failed"] == 3


SLOW = "import time\ntime.sleep(0.2)\n" + TRAINER


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def finished(project):
    try:
        return [t for t in trials_of(project) if t.state == "done"]
    except strop.Error:
        return []


def test_kill_nine_loses_nothing_told_and_changes_nothing(project, strop_bin, tmp_path):
    file = project(SLOW, trials=6)
    tune = subprocess.Popen([strop_bin / "strop-tune", file, "--json"], stdout=subprocess.DEVNULL)
    wait_until(lambda: len(finished(file)) >= 3)
    tune.kill()
    tune.wait()
    told = finished(file)
    run = subprocess.run([strop_bin / "strop-tune", file, "--json"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    resumed = trials_of(file)
    assert [t.value for t in resumed[:len(told)]] == [t.value for t in told]

    shutil.rmtree(tmp_path / ".strop")
    subprocess.run([strop_bin / "strop-tune", file, "--json"], capture_output=True, check=True)
    assert [t.params for t in trials_of(file)] == [t.params for t in resumed] and len(resumed) == 6


def test_a_trainer_that_does_not_read_its_answers_fails(project, strop_bin):
    trainer = """
        import json, os, socket
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.environ["STROP_TRIAL"])
        while True:
            s.sendall(json.dumps({"type": "report", "step": 1, "metrics": {"loss": 1.0}}).encode() + b"\\n")
        """
    file = project(textwrap.dedent(trainer), trials=1)
    run = subprocess.run([strop_bin / "strop-tune", file], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "does not read its answers" in trials_of(file)[0].error


def test_one_process_of_a_trainer_speaks_for_it(project, strop_bin):
    trainer = """
        import strop, subprocess, sys
        trial = strop.trial()
        other = subprocess.run([sys.executable, "-c", "import strop; strop.trial()"], capture_output=True, text=True)
        assert "in one of them, as rank 0" in other.stderr, other.stderr
        trial.report(1.0, 1)
        """
    file = project(textwrap.dedent(trainer), trials=1)
    run = subprocess.run([strop_bin / "strop-tune", file], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


def test_two_at_once_count_the_studys_trials(project, strop_bin):
    file = project(trials=6)
    script = "sleep 0.3; echo loss={x}"
    runs = [subprocess.Popen([strop_bin / "strop-tune", file, *more, "--", "sh", "-c", script], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for more in ([], ["--json"])]
    printed = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0] and "every configuration" not in "".join(printed)
    assert len(trials_of(file)) == 6 and json.loads(printed[1])["trials"] in (5, 6)  # the other's last may still run


def test_another_metric_is_another_study(project, strop_bin):
    command = ["--", "sh", "-c", "echo loss=1; echo acc=2"]
    assert subprocess.run([strop_bin / "strop-tune", project(trials=1), *command], capture_output=True).returncode == 0
    file = project(trials=2, metric="acc")
    run = subprocess.run([strop_bin / "strop-tune", file, *command], capture_output=True, text=True)
    assert run.returncode == 1 and 'was made for the metric "loss", not "acc"' in run.stderr
    assert [trial.value for trial in trials_of(file)] == [1]


def test_a_storage_is_relative_to_its_project(project, strop_bin, tmp_path):
    for storage in ["plain.db", "sqlite:///url.db"]:
        file = project(trials=1, storage=storage)
        subprocess.run([strop_bin / "strop-tune", file], check=True, cwd="/", capture_output=True)
    assert (tmp_path / "plain.db").exists() and (tmp_path / "url.db").exists()


def test_interruption_keeps_finished_trials(project, strop_bin):
    file = project(SLOW, trials=50)
    tune = subprocess.Popen([strop_bin / "strop-tune", file, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(finished(file)) >= 2)
    tune.send_signal(signal.SIGINT)
    out, err = tune.communicate(timeout=20)
    assert tune.returncode == 130 and out == "" and "interrupted" in err
    states = [t.state for t in trials_of(file)]
    assert states.count("done") >= 2 and "failed" not in states


def test_wrong_usage_and_projects(project, strop_bin, tmp_path):
    def complaint(*arguments):
        run = subprocess.run([strop_bin / "strop-tune", "--quiet", *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert len(run.stderr.splitlines()) == 1, run.stderr
        return run.returncode, run.stderr

    code, text = complaint("none.toml")
    assert code == 1 and "none.toml" in text
    file = project()
    code, text = complaint(file, "--final")
    assert code == 2 and "--output" in text
    code, text = complaint(file, "--final", "-o", "m.onnx")
    assert code == 1 and "no finished trial: run strop tune" in text
    code, text = complaint(file, "--", "/no/such/program", "{x}")
    assert code == 1 and "/no/such/program" in text
    code, text = complaint(file, "--", "echo", "{rate}")
    assert code == 1 and "{rate}, which is no parameter" in text
    file.write_text("[train]\ncommand = ['true']\n")
    code, text = complaint(file)
    assert code == 1 and "[tune.space] names no parameter" in text
    assert not (tmp_path / "m.onnx").exists()


def test_a_script_runs_by_hand(project, tmp_path):
    project()
    run = subprocess.run([sys.executable, "train.py", "--x=2.5", "--n", "3", "--out-dir", "out"], capture_output=True, text=True,
                         cwd=tmp_path, env={k: v for k, v in os.environ.items() if k != "STROP_TRIAL"})
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[:2] == ["step 1 value=0.75", "step 2 value=0.25"]
    assert (tmp_path / "out" / "model.onnx").exists()
    wrong = subprocess.run([sys.executable, "train.py", "--n=many"], capture_output=True, text=True, cwd=tmp_path)
    assert "--n=many: expected int" in wrong.stderr


def test_data_is_split_for_the_trainer(project, strop_bin, fashion, tmp_path):
    file = project(trials=1)
    file.write_text(f'[data]\ntrain = "{fashion["test"]}"\n' + file.read_text())
    script = "test -s {data} && test -s {validation} && echo loss=1"
    run = subprocess.run([strop_bin / "strop-tune", file, "--json", "--", "sh", "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / ".strop/data/validation.parquet").is_file()


@pytest.mark.parametrize("wrong, message", [
    (dict(seed=-1), "seed = -1"), (dict(seed=2**64), "seed = 18446744073709551616"), (dict(seed="7"), "seed = '7'"),
    (dict(study_name=None), "study_name = None"), (dict(direction=[1]), "direction = 1"),
])
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(strop.InvalidArgument, match=message):
        Study({"x": Float(0, 1)}, **wrong)


def test_a_seed_may_be_drawn():
    assert Study({"x": Float(0, 1)}, seed=None).seed != Study({"x": Float(0, 1)}, seed=None).seed


@pytest.mark.parametrize("domain", [Choice("sgd"), Choice([2**70, 1]), Choice([float("nan"), 1.0]), Float("a", "b")])
def test_wrong_domains_are_named(domain):
    with pytest.raises(strop.InvalidArgument, match='parameter "x"'):
        Space({"x": domain})


def test_one_constraint_may_be_a_string():
    assert Space({"x": Float(0, 1), "y": Float(0, 1)}, constraints="x < y").constraints == ["x < y"]


def test_finished_trials_are_plain_values():
    study = Study({"x": Float(0, 1)})
    study.optimize(lambda trial: trial.params["x"], n_trials=3)
    copy = pickle.loads(pickle.dumps(study.best_trial))
    assert copy == study.best_trial and dataclasses.asdict(copy)["values"] == [study.best_value]


def test_numbers_of_numpy_name_trials():
    study = Study({"x": Float(0, 1)})
    study.ask()
    study.tell(np.int64(0), np.float32(1.5))
    assert study.best_value == 1.5


def test_an_objective_without_a_value_says_so():
    study = Study({"x": Float(0, 1)})
    with pytest.raises(TypeError, match="None: expected a number"):
        study.optimize(lambda trial: None, n_trials=1)
    assert study.trials[0].state == "failed"


def test_an_exception_with_any_text_is_caught():
    study = Study({"x": Float(0, 1)})

    def objective(trial):
        raise ValueError("cannot read " + b"caf\xe9.csv".decode("utf-8", "surrogateescape"))

    study.optimize(objective, n_trials=2, catch=ValueError)
    assert [trial.state for trial in study.trials] == ["failed"] * 2


def test_another_programs_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE trials (trial_id INTEGER)")
    before = path.read_bytes()
    for use in (lambda: Study({"x": Float(0, 1)}, storage=path), lambda: Study.load(path)):
        with pytest.raises(strop.FailedPrecondition, match="another program"):
            use()
    assert path.read_bytes() == before
