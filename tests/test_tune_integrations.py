"""Samplers as objects, what other libraries use of them, and the examples of tuning. The parts that need Optuna and
scikit-learn are slow tests: setup/requirements-services.txt brings both."""

import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import strop
from strop.tune import Choice, Exhausted, Float, Int, Space, Study, samplers

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "tune"
SPACE = Space({"x": Float(-5, 10), "n": Int(1, 100)})


def bowl(trial):
    return (trial.params["x"] - 2) ** 2 + (trial.params["n"] / 10 - 3) ** 2


# ---- samplers --------------------------------------------------------------------------------------------------------


CLASSES = [getattr(samplers, name) for name in samplers.__all__ if name != "Sampler"]


@pytest.mark.parametrize("made", [kind() for kind in CLASSES], ids=repr)
def test_a_sampler_object_does_what_its_name_does(made):
    by_object, by_name = Study(SPACE, sampler=made, seed=4), Study(SPACE, sampler=made.name, seed=4)
    for study in (by_object, by_name):
        study.optimize(bowl, n_trials=14)
    assert [t.params for t in by_object.trials] == [t.params for t in by_name.trials]
    assert pickle.loads(pickle.dumps(made)) == made


def test_options_of_a_sampler():
    tried = {}
    for acquisition in ("log_ei", "noisy_log_ei", "ucb"):
        study = Study(SPACE, sampler=samplers.GPSampler(acquisition=acquisition), seed=4)
        study.optimize(bowl, n_trials=12)
        assert study.trials[-1].sampler == "gp"
        tried[acquisition] = tuple(t.params["x"] for t in study.trials)
    assert len(set(tried.values())) == 3
    with pytest.raises(strop.InvalidArgument, match='acquisition "pi": expected log_ei, noisy_log_ei or ucb'):
        Study(SPACE, sampler=samplers.GPSampler(acquisition="pi"))
    with pytest.raises(strop.InvalidArgument, match="sampler 3: expected a name"):
        Study(SPACE, sampler=3)


def test_ask_of_a_sampler_is_a_function_of_what_it_is_told():
    gp = strop._tune.Sampler.named("gp")
    space = SPACE._space
    finished = [(i, {"x": x, "n": 30}, [(x - 2) ** 2], [], "") for i, x in enumerate([-4.0, -1.0, 1.0, 4.0, 8.0])]
    params, sampler, reason, state = gp.ask(space, finished, [], 1, 5)
    assert (sampler, reason, state) == ("gp", "", "") and set(params) == {"x", "n"} and isinstance(params["n"], int)
    assert gp.ask(space, finished, [], 1, 5)[0] == params
    assert gp.ask(space, finished, [(5, params, [], [], "")], 1, 5)[0] != params
    assert gp.ask(space, finished, [], 2, 5)[0] != params
    infeasible = [(number, p, losses, [4 - p["x"]], "") for number, p, losses, _, _ in finished]  # x >= 4
    assert gp.ask(space, infeasible, [], 1, 5)[0]["x"] > params["x"]

    coin = Space({"c": Choice(["a", "b"])})._space
    tried = [(0, {"c": "a"}, [1.0], [], "")]
    grid = strop._tune.Sampler.named("grid")
    assert grid.ask(coin, tried, [], 0, 1)[0] == {"c": "b"}
    with pytest.raises(Exhausted):
        grid.ask(coin, tried, [(1, {"c": "b"}, [], [], "")], 0, 2)


# ---- without the libraries -------------------------------------------------------------------------------------------


def python(code, **options):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120,
                          **options)


@pytest.mark.parametrize(("name", "package", "wheel"), [("OptunaSampler", "optuna", "optuna"),
                                                        ("StropSearchCV", "sklearn", "scikit-learn")])
def test_a_missing_library_is_named(name, package, wheel):
    run = python(f"""
        import sys
        sys.modules["{package}"] = None  # as if it were not installed
        import strop.tune.integrations
        try:
            from strop.tune.integrations import {name}
        except ImportError as error:
            print(error)
    """)
    assert run.stdout == (f"strop.tune.integrations.{name} needs {wheel}, which is not installed: "
                          f"pip install {wheel}\n"), run.stderr


def test_importing_tune_imports_no_library():
    run = python("""
        import sys
        import strop.tune
        strop.tune.Study, strop.tune.samplers, strop.tune.integrations
        print(sorted({"optuna", "sklearn", "scipy", "pandas"} & set(sys.modules)))
        try:
            strop.tune.integrations.Nothing
        except AttributeError as error:
            print(error)
    """)
    assert run.stdout.splitlines() == ["[]", "module 'strop.tune.integrations' has no attribute 'Nothing'"], run.stderr


# ---- a script that knows nothing of strop ----------------------------------------------------------------------------


def strop_tune(strop_bin, tmp_path, *command):
    for file in ("train.py", "strop.toml"):
        (tmp_path / file).write_text((EXAMPLES / file).read_text().replace("trials = 20", "trials = 4"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run([strop_bin / "strop", "tune", "--json", *command], cwd=tmp_path, capture_output=True,
                          text=True, timeout=300, env={**os.environ, "PATH": path, "PYTHONPATH": ""})


def test_example_of_a_command_line(strop_bin, tmp_path):
    run = strop_tune(strop_bin, tmp_path)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["trials"] == 4 and result["failed"] == 0 and 0.5 < result["best"]["value"] <= 1
    trials = Study.load(f"sqlite:///{tmp_path}/.strop/strop.db").trials
    assert all(("momentum" in t.params) == (t.params["optimizer"] == "sgd") for t in trials)

    by_hand = [sys.executable, "train.py"]
    for name, value in result["best"]["params"].items():
        by_hand += [f"--{name}", str(value)]
    alone = subprocess.run(by_hand, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert alone.stdout.splitlines()[-1] == f"epoch 300: accuracy={result['best']['value']:.4f}"


def test_example_of_one_parameter_in_a_command(strop_bin, tmp_path):
    run = strop_tune(strop_bin, tmp_path, "--", "python", "train.py", "--lr", "{lr}")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["failed"] == 0
