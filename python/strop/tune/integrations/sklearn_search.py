"""A search over the parameters of a scikit-learn estimator, as GridSearchCV and RandomizedSearchCV are."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import joblib
import numpy as np
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state

import strop
from strop.tune.integrations.sklearn_space import SearchSpace
from strop.tune.samplers import Sampler
from strop.tune.study import Exhausted, Study

__all__ = ["StropSearchCV"]


class StropSearchCV(BaseSearchCV):
    """Searches an estimator's parameters by cross-validation, each trial suggested from the ones before.

    space: a strop.tune.Space, or a mapping of parameter names (`step__param` in a Pipeline) to Float, Int, Choice,
    lists of values or SciPy's uniform, loguniform and randint; `when` makes some conditional. sampler: a name or an
    object of strop.tune.samplers. random_state seeds the suggestions. The other arguments are those of GridSearchCV,
    and so are the attributes of the fitted search: best_params_, best_score_, best_estimator_, cv_results_, …

    With several metrics the one that `refit` names is searched for, or, where refit is False or a callable, all of them
    as so many objectives. All candidates see the same splits. Past n_jobs // splits candidates run at once, each
    suggested in view of those. A candidate with a failed fit has error_score in cv_results_ and is a failed trial.

    With `storage` (as of Study) a search that was stopped goes on until there are n_trials in all; cv_results_ has
    those of before. Its study, study_name_, is that of study_name and of the data, estimator, cv and scoring, so
    that searches of different ones, as in nested cross-validation, do not meet. Fitting once more when there is
    nothing left to do evaluates the best candidate again.
    """

    def __init__(self, estimator, space, *, n_trials: int = 20, scoring=None, cv=None, refit=True, n_jobs=None,
                 random_state=None, sampler: str | Sampler = "auto", storage: str | None = None,
                 study_name: str = "search", error_score=np.nan, return_train_score: bool = False, verbose: int = 0):
        super().__init__(estimator=estimator, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv, verbose=verbose,
                         error_score=error_score, return_train_score=return_train_score)
        self.space = space
        self.n_trials = n_trials
        self.random_state = random_state
        self.sampler = sampler
        self.storage = storage
        self.study_name = study_name

    def fit(self, X, y=None, **params):
        """Searches, then fits best_estimator_ to all data. `params` are for the estimator's fit, `groups` for the
        splits."""
        if not isinstance(self.n_trials, (int, np.integer)) or self.n_trials < 1:
            raise strop.InvalidArgument(f"n_trials = {self.n_trials!r}: expected a whole number of at least 1")
        name = f"{self.study_name}-{self._digest(X, y, params)}" if self.storage else self.study_name
        self._search = _Search(self, name)
        try:
            super().fit(X, y, **params)
        finally:
            del self._search
        if self.storage:
            self.study_name_ = name
        return self

    def _digest(self, *data) -> str:
        settings = (self.estimator, self.cv, self.scoring, self.refit)
        try:
            settings = joblib.hash(settings)
        except (pickle.PicklingError, TypeError, AttributeError):  # functions without a name, iterators
            settings = re.sub(r" at 0x[0-9a-f]+", "", repr(settings))
        return hashlib.sha256((settings + joblib.hash(data)).encode()).hexdigest()[:12]

    def _run_search(self, evaluate_candidates):
        self._search.run(evaluate_candidates)

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        # evaluate_candidates calls this with all that it has run; what it makes of the answer is its results.
        self._search.take(out, n_splits)
        return self._search.results

    def __getstate__(self):
        # scikit-learn sends the search itself to its workers, too.
        return {name: value for name, value in super().__getstate__().items() if name != "_search"}

    def _metrics(self) -> list[str]:
        """The metrics that are searched for."""
        if isinstance(self.refit, str):
            return [self.refit]
        if isinstance(self.scoring, (list, tuple, set, Mapping)):
            return list(self.scoring)
        return ["score"]


@dataclass
class _Row:
    """A candidate and what came of it on each split. `splits` is empty where all fits failed."""

    params: dict
    splits: list[dict] = field(default_factory=list)


class _Search:
    """One fit. BaseSearchCV keeps only what it has run itself and gives up when all fits of a call fail, so the rows
    are kept here and `results`, which it holds by reference, is filled in when all are there."""

    def __init__(self, search: StropSearchCV, name: str):
        self.search = search
        self.results = {}
        self.metrics = search._metrics()
        self.space = SearchSpace(search.space)
        seed = int(check_random_state(search.random_state).randint(2**31 - 1))
        directions = ["maximize"] * len(self.metrics)
        self.study = Study(self.space.space, direction=directions, sampler=search.sampler, storage=search.storage,
                           study_name=name, seed=seed)
        cv = search.cv
        self.cv = _SameSplits(cv) if hasattr(cv, "split") else None
        self.n_splits = None
        self.rows: dict[int, _Row] = {}  # by trial
        self.batch: list[int] = []       # trials that are being evaluated
        for trial in self.study.trials:
            if trial.state != "running":
                reports = self.study._study.reported_metrics(trial.number)
                self.rows[trial.number] = _Row(self.space.decode(trial.params), [_restored(r) for _, r in reports])

    def run(self, evaluate_candidates):
        failure = None
        evaluated = False
        while (trials := self._ask()):
            untold = list(trials)
            try:
                try:
                    evaluate_candidates([self.rows[trial.number].params for trial in trials], cv=self.cv)
                    evaluated = True
                except ValueError as error:
                    if not re.search(r"All the \d+ fits failed", str(error)):
                        raise
                    failure = error
                while untold:
                    self._tell(untold[0])
                    del untold[0]
            except BaseException:
                self._release(untold)
                raise
        if not evaluated:
            best = self._best()
            if best is None:
                raise failure or strop.FailedPrecondition(
                    f'study "{self.study.study_name}": all of its {len(self.rows)} trials failed')
            self.batch = [best]
            evaluate_candidates([self.rows[best].params], cv=self.cv)
        self._fill()

    def _ask(self) -> list:
        """The next trials; none when there are enough."""
        at_once = max(1, joblib.effective_n_jobs(self.search.n_jobs) // self.n_splits) if self.n_splits else 1
        done = sum(trial.state != "running" for trial in self.study.trials)
        trials = []
        try:
            while len(trials) < min(at_once, self.search.n_trials - done):
                trials.append(self.study.ask())
        except Exhausted:
            pass
        self.batch = [trial.number for trial in trials]
        for trial in trials:
            self.rows[trial.number] = _Row(self.space.decode(trial.params))
        return trials

    def _release(self, trials):
        """Whoever fits next runs them again."""
        for trial in trials:
            self.study._study.release(trial.number)

    def take(self, out, n_splits):
        self.n_splits = n_splits
        new = out[len(out) - len(self.batch) * n_splits:]
        for i, number in enumerate(self.batch):
            self.rows[number].splits = new[i * n_splits:(i + 1) * n_splits]

    def _tell(self, trial):
        splits = self.rows[trial.number].splits
        for place, split in enumerate(splits):
            score = _scores(split["test_scores"]).get(self.metrics[0], math.nan)
            self.study._study.report(trial.number, place, float(score), _stored(split))
        errors = [split["fit_error"] for split in splits if split.get("fit_error")]
        if errors or not splits:
            last = errors[-1].strip().splitlines()[-1] if errors else "all of its fits failed"
            self.study._study.tell_failed(trial.number, last)
            return
        self.study.tell(trial, [self._mean(splits, metric) for metric in self.metrics])

    def _mean(self, splits, metric) -> float:
        scores = [_scores(split["test_scores"]) for split in splits]
        if metric not in scores[0]:
            raise strop.InvalidArgument(f'metric "{metric}" is none of {", ".join(scores[0])}: name the one to search '
                                        "for in refit")
        return float(np.mean([score[metric] for score in scores]))

    def _best(self) -> int | None:
        done = [trial for trial in self.study.trials if trial.state == "done"]
        return max(done, key=lambda trial: trial.values[0]).number if done else None

    def _fill(self):
        rows = [self.rows[number] for number in sorted(self.rows)]
        like = next(row.splits[0] for row in rows if row.splits)
        splits = []
        for row in rows:
            if len(row.splits) not in (0, self.n_splits):
                raise strop.InvalidArgument(f'study "{self.study.study_name}" has trials of {len(row.splits)} splits, '
                                            f"now there are {self.n_splits}: choose another study_name")
            splits += [self._completed(split, like) for split in row.splits or [{}] * self.n_splits]
        params = [row.params for row in rows]
        self.results.update(BaseSearchCV._format_results(self.search, params, self.n_splits, splits))

    def _completed(self, split, like) -> dict:
        """With the entries that BaseSearchCV tabulates, and those alone."""
        worst = self.search.error_score
        made = {name: split.get(name, math.nan) for name in ("fit_time", "score_time")}
        for kind in ["test_scores", *(["train_scores"] if self.search.return_train_score else [])]:
            scores = _scores(split.get(kind, {}))
            of_all = like.get(kind, like["test_scores"])
            made[kind] = ({metric: scores.get(metric, worst) for metric in of_all} if isinstance(of_all, dict)
                          else scores.get("score", worst))
        return made


class _SameSplits:
    """The splits of a splitter that may be a random one, the same at every call."""

    def __init__(self, cv):
        self._cv = cv
        self._splits = None

    def split(self, *data, **params):
        if self._splits is None:
            self._splits = list(self._cv.split(*data, **params))
        return iter(self._splits)


def _scores(scores) -> dict:
    return scores if isinstance(scores, dict) else {"score": scores}


def _stored(split: dict) -> str:
    def plain(value):
        if isinstance(value, dict):
            return {str(metric): plain(score) for metric, score in value.items()}
        return float(value) if math.isfinite(value) else None  # JSON has no NaN

    kept = ("fit_time", "score_time", "test_scores", "train_scores")
    return json.dumps({name: plain(split[name]) for name in kept if name in split})


def _restored(text: str) -> dict:
    def number(value):
        return math.nan if value is None else value

    return {name: {metric: number(score) for metric, score in kept.items()} if isinstance(kept, dict) else number(kept)
            for name, kept in json.loads(text).items()}
