"""OptunaSampler in Optuna's studies: spaces that are learnt, and what its own samplers are held to."""

import itertools
import math
import subprocess
import sys
import textwrap
import warnings

import pytest

from strop.tune.samplers import GPSampler

pytestmark = pytest.mark.slow  # Optuna comes with setup/requirements-services.txt


@pytest.fixture(scope="module")
def optuna():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@pytest.fixture(scope="module")
def make(optuna):
    """A study with our sampler; of the same seed, the same study."""
    from strop.tune.integrations import OptunaSampler

    def study(sampler="auto", seed=0, constraints_func=None, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constraints_func is deprecated since Optuna 5
            ours = OptunaSampler(sampler, seed, constraints_func=constraints_func)
        return optuna.create_study(sampler=ours, load_if_exists=True, **options)

    return study


def suggested(trial):
    return trial.system_attrs["strop"]["values"]


# ---- the space that trials tell of -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learn(optuna):
    from strop.tune.integrations.optuna_space import LearntSpace, SeenTrial

    def space(distributions, *trials, complete=True):
        return LearntSpace(distributions, [SeenTrial(values, complete) for values in trials])

    return space


@pytest.fixture
def domains(optuna):
    return optuna.distributions


def named(space):
    """Each parameter of the Strop space and its condition."""
    return {name: dict(domain.when) for name, domain in space.space.parameters.items()}


def test_a_choice_as_parent(learn, domains):
    space = learn({"opt": domains.CategoricalDistribution(["sgd", "adam", None]), "lr": domains.FloatDistribution(0, 1),
                   "momentum": domains.FloatDistribution(0, 1), "beta": domains.FloatDistribution(0, 1)},
                  {"opt": 0, "momentum": 0.5, "lr": 0.1}, {"opt": 1, "beta": 0.2, "lr": 0.1}, {"opt": 2, "lr": 0.1})
    opt, momentum, lr, beta = space.space.parameters
    assert named(space) == {opt: {}, momentum: {opt: 0}, lr: {}, beta: {opt: 1}}
    params = space.encode({"opt": 0, "lr": 0.3, "momentum": 0.9, "beta": 0.7})
    space.space.check({name: value for name, value in params.items() if name != beta})
    assert space.decode({opt: 2, lr: 0.5}) == {"opt": 2, "lr": 0.5}


def test_a_number_of_layers_as_parent(learn, domains):
    """units_2 is asked for from the second layer on, units_3 with the third: conditions nested in each other."""
    units = domains.IntDistribution(16, 512, log=True)
    distributions = {"layers": domains.IntDistribution(1, 6), "units_2": units, "units_3": units,
                     "rate": domains.FloatDistribution(0, 1)}
    space = learn(distributions, {"layers": 1, "rate": 0.1}, {"layers": 3, "units_2": 64, "units_3": 32, "rate": 0.1},
                  {"layers": 2, "units_2": 64, "rate": 0.1}, {"layers": 6, "units_2": 64, "units_3": 99, "rate": 0.1})
    for layers in range(1, 7):
        params = space.encode({"layers": layers, "units_2": 100, "units_3": 200, "rate": 0.5})
        active = space.space._space
        idle = [name for name, when in named(space).items() if any(params.get(p) != v for p, v in when.items())]
        asked = {name: value for name, value in params.items() if name not in idle}
        active.check(asked)
        expected = {"layers": layers, "rate": 0.5} | {f"units_{i}": i * 100 - 100 for i in (2, 3) if i <= layers}
        assert space.decode(asked) == expected


def test_a_condition_on_two_parents_and_one_on_a_condition(learn, domains):
    two = domains.CategoricalDistribution(["a", "b"])
    number = domains.FloatDistribution(0, 1)
    trials = []
    for p, q, r in itertools.product((0, 1), repeat=3):
        trial = {"p": p, "q": q} | ({"x": 0.5} if p and q else {}) | ({"r": r} if p else {})
        trials.append(trial | ({"y": 0.5} if p and r else {}))
    space = learn({"p": two, "q": two, "x": number, "r": two, "y": number}, *trials)

    def own(name):
        return next(iter(space.decode({name: 0})))

    conditions = {own(name): {own(parent): v for parent, v in when.items()} for name, when in named(space).items()}
    assert conditions == {"p": {}, "q": {}, "r": {"p": 1}, "x": {"p": 1, "q": 1}, "y": {"r": 1}}


def test_what_no_rule_explains_is_always_active(learn, domains):
    distributions = {"lr": domains.FloatDistribution(0, 1), "opt": domains.CategoricalDistribution([1, 2]),
                     "decay": domains.FloatDistribution(0, 1)}
    space = learn(distributions, {"lr": 0.1, "opt": 0}, {"lr": 0.9, "opt": 0, "decay": 0.5},
                  {"lr": 0.8, "opt": 1, "decay": 1})
    assert all(when == {} for when in named(space).values())
    # A trial that was cut short does not tell what it did without.
    space = learn(distributions, {"lr": 0.1, "opt": 0}, {"lr": 0.9, "opt": 1, "decay": 0.5}, complete=False)
    assert all(when == {} for when in named(space).values())


def test_wants_that_overlap_leave_one_unconditional(learn, domains):
    distributions = {"c": domains.CategoricalDistribution("abc"), "x": domains.FloatDistribution(0, 1),
                     "y": domains.FloatDistribution(0, 1)}
    space = learn(distributions, {"c": 0, "x": 0.1}, {"c": 1, "x": 0.1, "y": 0.1}, {"c": 2, "y": 0.1})
    for c in range(3):
        params = space.encode({"c": c})
        assert space.decode(params)["c"] == c
    assert sorted(len(when) for when in named(space).values()) == [0, 0, 1, 1]  # c in two parts; x or y unconditional


# ---- studies ---------------------------------------------------------------------------------------------------------


def network(trial):
    """Best: 0 with two layers. A third costs, the widths count only where there are layers."""
    layers = trial.suggest_int("layers", 1, 4)
    loss = abs(layers - 2) + (math.log10(trial.suggest_float("lr", 1e-5, 1, log=True)) + 3) ** 2
    for i in range(layers):
        loss += (math.log2(trial.suggest_int(f"units_{i}", 4, 256, log=True)) - 4 - i) ** 2 / 4
    if trial.suggest_categorical("opt", ["sgd", "adam", None]) == "sgd":
        loss += 0.5 - trial.suggest_float("momentum", 0, 0.9, step=0.1)
    else:
        loss += 0.5
    return loss


def test_a_conditional_study_learns_its_space_and_beats_random_search(make):
    best = {"auto": [], "random": []}
    for sampler, values in best.items():
        for seed in range(3):
            study = make(sampler, seed)
            study.optimize(network, n_trials=40)
            values.append(study.best_value)
    assert max(best["auto"]) < min(best["random"])
    study = make(seed=3)
    study.optimize(network, n_trials=40)
    for trial in study.trials[20:]:
        assert suggested(trial).keys() == trial.params.keys()  # nothing more than was asked for, and nothing at random
        assert all(trial.distributions[name].to_internal_repr(trial.params[name]) == value
                   for name, value in suggested(trial).items())
    assert {t.system_attrs["strop"]["sampler"] for t in study.trials[20:]} == {"gp"}


def test_a_study_goes_on_from_its_storage(make, tmp_path):
    whole = make()
    whole.optimize(network, n_trials=24)
    storage = f"sqlite:///{tmp_path}/study.db"
    for _ in range(2):
        make(storage=storage, study_name="s").optimize(network, n_trials=12)
    assert [t.params for t in make(storage=storage, study_name="s").trials] == [t.params for t in whole.trials]


def test_several_at_once_and_trials_that_fail_or_are_pruned(optuna, make, tmp_path):
    def objective(trial):
        value = network(trial)
        trial.report(value, 1)
        if trial.number % 5 == 3:
            raise optuna.TrialPruned
        if trial.number % 5 == 4:
            raise ValueError
        return value

    study = make(storage=f"sqlite:///{tmp_path}/study.db")
    study.optimize(objective, n_trials=30, n_jobs=2, catch=ValueError)
    states = [t.state.name for t in study.trials]
    assert (states.count("COMPLETE"), states.count("PRUNED"), states.count("FAIL")) == (18, 6, 6)
    assert len({tuple(t.params.values()) for t in study.trials}) == 30


def test_an_infinite_constraint_is_only_the_worst(make):
    study = make("gp", constraints_func=lambda trial: [math.inf if trial.params["x"] < 0.5 else -1.0])
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=20)
    assert len({trial.params["x"] for trial in study.trials}) == 20
    assert min(trial.value for trial in study.trials if trial.params["x"] >= 0.5) < 0.55


def test_running_trials_count(make):
    """What is being tried is not suggested again: twelve at once find the twelve configurations."""
    study = make("gp")
    at_once = [study.ask() for _ in range(12)]
    assert len({(t.suggest_int("n", 1, 4), t.suggest_categorical("c", "abc")) for t in at_once}) == 12


def test_choices_of_any_kind(make):
    kinds = [None, (1, 2), "a", 3.5, True]
    study = make("gp")
    study.optimize(lambda t: kinds.index(t.suggest_categorical("kind", kinds)) + t.suggest_float("x", 0, 1), n_trials=20)
    assert study.best_params["kind"] is None and study.best_value < 0.2
    assert {type(t.params["kind"]) for t in study.trials} == {type(kind) for kind in kinds}


def test_several_objectives_and_maximize(make):
    study = make("gp", directions=["minimize", "maximize"])
    study.optimize(lambda t: (t.suggest_float("x", -10, 10) ** 2, -(t.params["x"] - 2) ** 2), n_trials=25)
    assert sum(-0.2 <= t.params["x"] <= 2.2 for t in study.trials[10:]) >= 10  # of 15; random search: 2
    single = make("gp", direction="maximize")
    single.optimize(lambda t: -(t.suggest_float("x", -10, 10) - 3) ** 2, n_trials=20)
    assert single.best_value > -0.05


def test_constraints(make):
    def objective(trial):
        x = trial.suggest_float("x", -10, 10)
        trial.set_user_attr("broken", [1.5 - x])
        return x**2

    study = make("gp", constraints_func=lambda trial: trial.user_attrs["broken"])
    study.optimize(objective, n_trials=20)
    assert 1.5 <= study.best_trial.params["x"] < 1.7

    def telling(trial):
        x = trial.suggest_float("x", -10, 10)
        trial.set_constraint("above", 1.5 - x)
        return x**2

    study = make("gp")
    study.optimize(telling, n_trials=20)
    assert 1.5 <= study.best_trial.params["x"] < 1.7


def test_ranges_that_change(optuna, make):
    study = make("gp")

    def objective(trial):
        low = trial.suggest_int("low", 0, 3)
        step = 0.5 if low < 2 else 0.4
        high = trial.suggest_int("high", low, low + 3)
        return high + trial.suggest_float("step", 0, 2, step=step)

    study.optimize(objective, n_trials=25)
    assert all(t.params["low"] <= t.params["high"] <= t.params["low"] + 3 for t in study.trials)
    assert min(t.params["high"] for t in study.trials) == 0
    assert "step" not in suggested(study.trials[-1]) and "high" in suggested(study.trials[-1])


def test_a_discrete_space_runs_out_without_an_end(make):
    study = make(sampler="gp")
    study.optimize(lambda t: t.suggest_int("n", 1, 3) + t.suggest_categorical("c", [0, 5]), n_trials=15)
    assert len(study.trials) == 15 and len({tuple(t.params.values()) for t in study.trials[:7]}) == 6


def test_enqueued_trials_and_pickles(optuna, make):
    import pickle

    study = make(GPSampler(acquisition="noisy_log_ei"))
    study.enqueue_trial({"x": 0.25})
    study.optimize(lambda t: (t.suggest_float("x", 0, 1) - 0.25) ** 2, n_trials=6)
    assert study.best_params == {"x": 0.25} and study.best_trial.number == 0
    other = optuna.create_study(sampler=pickle.loads(pickle.dumps(study.sampler)))
    other.add_trials(study.trials)
    assert other.ask().suggest_float("x", 0, 1) == study.ask().suggest_float("x", 0, 1)


def test_a_wrong_sampler_is_told_at_once(make):
    with pytest.raises(ValueError, match='sampler "no": expected'):
        make("no")


def test_what_optuna_holds_its_samplers_to(optuna, tmp_path):
    (tmp_path / "test_conformance.py").write_text(textwrap.dedent("""
        import pytest
        from optuna.testing.pytest_samplers import (BasicSamplerTestCase, MultiObjectiveSamplerTestCase,
                                                    RelativeSamplerTestCase)
        from strop.tune.integrations import OptunaSampler

        class Ours:
            @pytest.fixture(params=["gp", "random", "sobol", "tpe", "cmaes", "auto"])
            def sampler(self, request):
                return lambda: OptunaSampler(request.param)

        class TestBasic(Ours, BasicSamplerTestCase): pass
        class TestRelative(Ours, RelativeSamplerTestCase): pass
        class TestObjectives(Ours, MultiObjectiveSamplerTestCase): pass
    """))
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", tmp_path],
                         capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and " passed" in run.stdout and "failed" not in run.stdout, run.stdout[-4000:]
