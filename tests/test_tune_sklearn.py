"""StropSearchCV: what scikit-learn's searches do, in few trials, and going on from a storage."""

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import strop
from strop.tune import Choice, Float, Int, Space, Study

pytestmark = pytest.mark.slow  # scikit-learn comes with setup/requirements-services.txt

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "tune"
LOGISTIC = {"C": Float(1e-4, 1e4, log=True)}


@pytest.fixture(scope="module")
def search():
    from threadpoolctl import threadpool_limits

    from strop.tune.integrations import StropSearchCV

    with threadpool_limits(1):  # of such small fits, several threads make slow ones
        yield StropSearchCV


@pytest.fixture(scope="module")
def data():
    from sklearn.datasets import make_classification

    return make_classification(300, 10, n_informative=4, flip_y=0.1, random_state=0)


def logistic(**options):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**options)


class Fails:
    """A classifier made by `of` that fails to fit in a part of its range."""

    @staticmethod
    def of(base):
        from sklearn.linear_model import SGDClassifier

        class Failing(SGDClassifier):
            def fit(self, X, y):
                if base(self, X):
                    raise RuntimeError("no luck")
                return super().fit(X, y)

        Failing.__qualname__ = "Failing"
        return Failing(random_state=0)


def test_what_scikit_learn_checks(search):
    from sklearn.utils.estimator_checks import check_estimator

    results = check_estimator(search(logistic(), LOGISTIC, n_trials=2, cv=2, random_state=0), on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {} and sum(r["status"] == "passed" for r in results) > 30


def test_a_search_is_a_fitted_estimator(search, data):
    from sklearn.base import clone

    made = clone(search(logistic(), LOGISTIC, n_trials=8, random_state=3, return_train_score=True))
    fitted = pickle.loads(pickle.dumps(made.fit(*data)))
    results = fitted.cv_results_
    assert len(results["params"]) == 8 and fitted.n_splits_ == 5 and list(fitted.classes_) == [0, 1]
    assert fitted.best_score_ == results["mean_test_score"].max() == results["mean_test_score"][fitted.best_index_]
    assert fitted.best_params_ == results["params"][fitted.best_index_] == {"C": fitted.best_estimator_.C}
    assert fitted.predict_proba(data[0]).shape == (300, 2) and fitted.score(*data) > 0.7
    assert {"split4_test_score", "mean_train_score", "mean_fit_time", "rank_test_score", "param_C"} <= results.keys()
    again = clone(made).fit(*data)
    assert again.cv_results_["params"] == results["params"]
    by_hand = search(logistic(), Space(LOGISTIC), n_trials=8, random_state=3, sampler=strop.tune.samplers.GPSampler())
    assert clone(by_hand).fit(*data).cv_results_["params"] == results["params"]


def test_a_pipeline_with_conditions_and_objects(search, data):
    from scipy.stats import loguniform, randint, uniform
    from sklearn.decomposition import PCA
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import Pipeline
    from sklearn.svm import SVC

    svc = SVC()
    space = {"reduce__n_components": randint(2, 8), "reduce__whiten": [True, False], "reduce__tol": uniform(0, 0.1),
             "model": Choice([logistic(), svc]), "model__C": loguniform(1e-2, 1e2),
             "model__gamma": Float(1e-3, 1, log=True, when={"model": svc}), "model__class_weight": [None, "balanced"]}
    made = search(Pipeline([("reduce", PCA()), ("model", svc)]), space, n_trials=12, cv=3, random_state=0)
    made.fit(*data)
    for params in made.cv_results_["params"]:
        assert ("model__gamma" in params) == isinstance(params["model"], SVC)
        assert 2 <= params["reduce__n_components"] <= 7 and params["model__class_weight"] in (None, "balanced")
    assert made.cv_results_["param_model__gamma"].mask.any()
    assert cross_val_score(made, *data, cv=3).mean() > 0.7


def test_several_metrics(search, data):
    made = search(logistic(), LOGISTIC, n_trials=6, scoring=["accuracy", "roc_auc"], refit="roc_auc", random_state=0)
    made.fit(*data)
    assert made.best_score_ == made.cv_results_["mean_test_roc_auc"].max() and made.multimetric_
    chosen = search(logistic(), LOGISTIC, n_trials=6, scoring=["accuracy", "neg_log_loss"], random_state=0,
                    refit=lambda results: int(results["mean_test_neg_log_loss"].argmax()), storage=None).fit(*data)
    assert chosen.best_params_ == chosen.cv_results_["params"][chosen.cv_results_["mean_test_neg_log_loss"].argmax()]

    def both(estimator, X, y):
        return {"right": estimator.score(X, y), "small": -abs(estimator.C)}

    made = search(logistic(), LOGISTIC, n_trials=5, scoring=both, refit="right", random_state=0)
    assert made.fit(*data).best_score_ == made.cv_results_["mean_test_right"].max()
    with pytest.raises(strop.InvalidArgument, match='metric "score" is none of right, small'):
        search(logistic(), LOGISTIC, n_trials=5, scoring=both, refit=False).fit(*data)


def test_candidates_that_fail(search, data, tmp_path):
    estimator = Fails.of(lambda self, X: self.alpha > 1e-3)
    storage = f"sqlite:///{tmp_path}/study.db"
    made = search(estimator, {"alpha": Float(1e-6, 1, log=True)}, n_trials=12, cv=3, random_state=0, storage=storage)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        made.fit(*data)
    scores = made.cv_results_["mean_test_score"]
    failed = [params["alpha"] > 1e-3 for params in made.cv_results_["params"]]
    assert 0 < sum(failed) < 9 and np.isnan(scores).tolist() == failed and np.isfinite(made.best_score_)
    trials = Study.load(storage, made.study_name_).trials
    assert [t.state == "failed" for t in trials] == failed and "fits failed" in trials[failed.index(True)].error

    with pytest.raises(ValueError, match="All the 3 fits failed"):
        search(Fails.of(lambda self, X: True), {"alpha": [1.0, 2.0, 3.0]}, n_trials=4, cv=3).fit(*data)
    with pytest.raises(RuntimeError, match="no luck"):
        search(Fails.of(lambda self, X: True), {"alpha": [1.0, 2.0]}, n_trials=2, error_score="raise").fit(*data)
    partly = search(Fails.of(lambda self, X: abs(X[0, 0] - data[0][0, 0]) < 1e-9 and self.alpha > 1e-3),
                    {"alpha": Float(1e-6, 1, log=True)}, n_trials=8, cv=3, error_score=0.0, random_state=0)
    with pytest.warns(RuntimeWarning, match="fits failed"):
        partly.fit(*data)
    zeros = [params["alpha"] > 1e-3 for params in partly.cv_results_["params"]]
    assert (np.vstack([partly.cv_results_[f"split{i}_test_score"] for i in range(3)]) == 0).any(0).tolist() == zeros


def test_a_stopped_search_goes_on(search, data, tmp_path):
    whole = search(logistic(), LOGISTIC, n_trials=10, random_state=0).fit(*data)
    storage, calls = f"sqlite:///{tmp_path}/study.db", []

    def score(estimator, X, y):
        calls.append(1)
        if len(calls) == 28:  # in the sixth candidate
            raise KeyboardInterrupt
        return estimator.score(X, y)

    made = search(logistic(), LOGISTIC, n_trials=10, random_state=0, scoring=score, storage=storage)
    with pytest.raises(KeyboardInterrupt):
        made.fit(*data)
    made.fit(*data)
    assert len(calls) == 28 + 5 * 5
    for name in ("params", "mean_test_score", "split3_test_score", "rank_test_score"):
        assert list(made.cv_results_[name]) == list(whole.cv_results_[name])
    assert (made.cv_results_["mean_fit_time"] > 0).all()
    made.fit(*data)  # nothing is left: the best candidate once more
    assert len(calls) == 28 + 5 * 5 + 5 and made.best_params_ == whole.best_params_
    made.fit(data[0][:200], data[1][:200])  # other data: another study
    assert len(calls) == 28 + 5 * 5 + 5 + 50


def test_a_long_pipeline_is_another_search_for_any_difference(search, data, tmp_path):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

    def pipeline(limit):
        scalers = [MinMaxScaler(feature_range=(0, 1 + i)) for i in range(40)]
        scalers[20] = MinMaxScaler(feature_range=(0, limit))
        return make_pipeline(*scalers, logistic())

    space, storage = {"logisticregression__C": Float(1e-4, 1e4, log=True)}, f"sqlite:///{tmp_path}/study.db"
    names = [search(pipeline(limit), space, n_trials=2, cv=2, storage=storage).fit(*data).study_name_
             for limit in (5, 6, 5)]
    assert names[0] == names[2] != names[1]
    nameless = make_pipeline(FunctionTransformer(lambda X: X), logistic())
    assert search(nameless, space, n_trials=2, cv=2, storage=storage).fit(*data).study_name_ not in names


def test_the_same_splits_for_every_candidate(search, data):
    from sklearn.model_selection import ShuffleSplit

    made = search(logistic(), {"C": [1.0, 1.0 + 1e-12]}, n_trials=2, cv=ShuffleSplit(3, test_size=0.3)).fit(*data)
    assert made.cv_results_["mean_test_score"][0] == made.cv_results_["mean_test_score"][1]
    assert search(logistic(), LOGISTIC, n_trials=3, cv=iter([(range(150), range(150, 300))])).fit(*data).n_splits_ == 1


def test_candidates_in_parallel(search, data):
    made = search(logistic(), LOGISTIC, n_trials=9, cv=2, n_jobs=4, random_state=0).fit(*data)
    assert len({params["C"] for params in made.cv_results_["params"]}) == 9


def test_a_discrete_space_ends(search, data):
    assert len(search(logistic(), {"C": [0.1, 1, 10]}, n_trials=20).fit(*data).cv_results_["params"]) == 3


def test_wrong_arguments(search, data):
    from scipy.stats import norm

    never = {"a": [None], "C": Float(0, 1, when={"a": 3})}
    for space, message in [({"C": norm()}, '"C": norm: expected Float'), ({}, "expected a mapping"),
                           ({"C": 1}, '"C": 1: expected'), (never, '"C": its condition a = 3 can never hold')]:
        with pytest.raises(strop.InvalidArgument, match=message):
            search(logistic(), space).fit(*data)
    with pytest.raises(strop.InvalidArgument, match="n_trials = 0: expected"):
        search(logistic(), LOGISTIC, n_trials=0).fit(*data)
    with pytest.raises(ValueError, match="Invalid parameter"):
        search(logistic(), {"D": [1.0]}).fit(*data)
    assert search(logistic(), {"C": Int(1, 9)}, n_trials=2).get_params()["n_trials"] == 2


@pytest.mark.parametrize("example", ["optuna_study.py", "sklearn_search.py"])
def test_examples(example, tmp_path):
    run = subprocess.run([sys.executable, EXAMPLES / example, "--trials", "14"], capture_output=True, text=True,
                         timeout=120, cwd=tmp_path)
    assert run.returncode == 0 and "accuracy 0.9" in run.stdout, run.stdout + run.stderr
