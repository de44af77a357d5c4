"""Studies: ask and tell, or optimize. The names are Optuna's."""

from __future__ import annotations

import math
import operator
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import strop
from strop import _tune
from strop.tune.samplers import Sampler, make_sampler
from strop.tune.space import Choice, Float, Int, Space

__all__ = ["Exhausted", "FinishedTrial", "Study", "Trial", "TrialPruned"]

_STATES = {"fail": "failed", "failed": "failed", "pruned": "pruned", "done": "done", "complete": "done"}


class Exhausted(strop.FailedPrecondition):
    """A discrete space has no untried configuration left."""


class TrialPruned(Exception):
    """Raised by an objective that gives its trial up."""


def _values(value: float | Iterable[float]) -> list[float]:
    try:
        return [float(value)]
    except TypeError:
        pass
    try:
        return [float(one) for one in value]
    except TypeError:
        raise TypeError(f"{value!r}: expected a number, or one an objective") from None


def _text(value, what: str) -> str:
    if not isinstance(value, str):
        raise strop.InvalidArgument(f"{what} = {value!r}: expected a string")
    return value


def checked_seed(seed: int | None) -> int:
    """None: at random."""
    if seed is None:
        return secrets.randbits(63)
    try:
        whole = operator.index(seed)
    except TypeError:
        whole = -1
    if not 0 <= whole < 2**64:
        raise strop.InvalidArgument(f"seed = {seed!r}: expected a whole number of at least 0 and below 2^64, or None")
    return whole


@dataclass(frozen=True)
class FinishedTrial:
    """A trial as the store has it.

    state: running, done, failed or pruned; values: one an objective; constraints: of the outcome, by name, infeasible
    where one is above 0; sampler and reason: who suggested it and why that one; times are Unix seconds.
    """

    number: int
    state: str
    params: dict
    values: list[float]
    constraints: dict[str, float]
    error: str
    sampler: str
    reason: str
    attempts: int
    started: float
    finished: float

    @property
    def value(self) -> float | None:
        """With one objective."""
        return self.values[0] if len(self.values) == 1 else None

    @property
    def feasible(self) -> bool:
        return all(violation <= 0 for violation in self.constraints.values())

    @property
    def intermediate_values(self) -> dict[int, float]:
        """From the store; a copy from another process has none."""
        return dict(self._study.reports(self.number))

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_study"}

    @property
    def duration(self) -> float | None:
        return self.finished - self.started if self.finished else None


def _finished(row: tuple, study) -> FinishedTrial:
    trial = FinishedTrial(*row)
    object.__setattr__(trial, "_study", study)
    return trial


class Trial:
    """A running trial. `params` is a dict; suggest_* adds to it in a study that has no space of its own."""

    def __init__(self, study, number: int, params: dict):
        self._study = study
        self.number = number
        self.params = params

    def _suggest(self, name, domain):
        self.params[name] = self._study.suggest(self.number, domain._parameter(name))
        return self.params[name]

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None,
                      log: bool = False) -> float:
        return self._suggest(name, Float(low, high, log, step))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._suggest(name, Int(low, high, log, step))

    def suggest_categorical(self, name: str, choices: Iterable):
        return self._suggest(name, Choice(list(choices)))

    def set_constraint(self, name: str, value: float) -> None:
        """How far the trial breaks an outcome constraint: 0 or less where it keeps to it. It keeps to those that it does
        not tell of."""
        self._study.set_constraint(self.number, _text(name, "name"), float(value))

    def report(self, value: float, step: int) -> None:
        """An intermediate value; a step reported twice keeps the later one."""
        self._study.report(self.number, int(step), float(value))

    def should_prune(self) -> bool:
        """Always False: no pruner is built yet."""
        return False


class Study:
    """A search for the parameters with the best value, kept in a store and resumed from it.

    direction: "minimize" or "maximize", or a list of them for several objectives. storage: "sqlite:///study.db", a path
    or "postgresql://user:password@host:port/db"; None keeps it in memory. sampler: auto, gp, tpe, cmaes, random, sobol
    or grid, or an object of strop.tune.samplers. seed: None draws one.
    Without a space, trials define it through trial.suggest_float and the like. What a call has returned from is on
    disk. Threads and processes may share a study.
    """

    def __init__(self, space: Space | None = None, direction: str | list[str] = "minimize",
                 sampler: str | Sampler = "auto", pruner=None, storage: str | os.PathLike | None = None,
                 study_name: str = "study", seed: int | None = 0, load_if_exists: bool = True, warm_start=None):
        if pruner is not None:
            raise strop.Unsupported(f"pruner {pruner!r}: none is built yet; expected None")
        if warm_start is not None:
            raise strop.Unsupported("warm_start is not built yet; expected None")
        if space is not None and not isinstance(space, Space):
            space = Space(space)
        self._open(storage, study_name, space, direction, sampler, seed, load_if_exists, False)

    @classmethod
    def load(cls, storage: str | os.PathLike, study_name: str = "study", sampler: str | Sampler = "auto") -> Study:
        """A study that is there, with its own space and direction. Raises strop.NotFound."""
        study = cls.__new__(cls)
        study._open(storage, study_name, None, "minimize", sampler, 0, True, True)
        return study

    def _open(self, storage, name, space, direction, sampler, seed, load_if_exists, must_exist):
        inner = (space or Space())._space
        directions = [direction] if isinstance(direction, str) else [_text(one, "direction") for one in direction]
        self._study = _tune.Study(os.fspath(storage) if storage else "sqlite://", _text(name, "study_name"), inner,
                                  directions, make_sampler(sampler), checked_seed(seed), bool(load_if_exists), must_exist)
        self._stop = threading.Event()

    @property
    def study_name(self) -> str:
        return self._study.name

    @property
    def directions(self) -> list[str]:
        return self._study.directions

    @property
    def direction(self) -> str:
        """With one objective."""
        if len(self.directions) > 1:
            raise strop.FailedPrecondition(f"the study has {len(self.directions)} objectives: ask for directions")
        return self.directions[0]

    @property
    def seed(self) -> int:
        return self._study.seed

    def ask(self) -> Trial:
        """The next trial. Raises Exhausted when a discrete space has no configuration left."""
        number, _, params, *_ = self._study.ask()
        return Trial(self._study, number, params)

    def tell(self, trial: Trial | int, value: float | Iterable[float] | None = None, state: str | None = None) -> None:
        """Ends a trial with its value (one an objective), or with state="fail" or state="pruned". A value that is not
        finite fails."""
        number = trial.number if isinstance(trial, (Trial, FinishedTrial)) else operator.index(trial)
        if state is not None and state not in _STATES:
            raise strop.InvalidArgument(f"state {state!r}: expected 'fail', 'pruned' or 'done'")
        state = _STATES.get(state, "done")
        if state == "failed":
            self._study.tell_failed(number, "told so")
        elif state == "pruned":
            self._study.tell_pruned(number, None if value is None else float(value))
        elif value is None:
            raise strop.InvalidArgument(f"trial {number}: expected a value, or state='fail'")
        else:
            self._study.tell(number, _values(value))

    def optimize(self, objective: Callable[[Trial], float], n_trials: int | None = None, n_jobs: int = 1,
                 timeout: float | None = None, catch: tuple = (), callbacks: Iterable[Callable] = ()) -> None:
        """Runs objective(trial) in n_jobs threads until n_trials more are finished, `timeout` seconds have passed,
        stop() was called or the space is exhausted. An exception fails its trial and, unless it is one of `catch`,
        ends the search and is raised; TrialPruned prunes it.
        """
        if n_jobs < 1:
            raise strop.InvalidArgument(f"n_jobs = {n_jobs}: expected at least 1")
        if n_trials is None and timeout is None:
            raise strop.InvalidArgument("expected n_trials or timeout")
        self._stop.clear()
        end = math.inf if timeout is None else time.monotonic() + timeout
        left = math.inf if n_trials is None else n_trials
        lock = threading.Lock()
        errors = []

        def take() -> bool:
            nonlocal left
            with lock:
                if left <= 0 or self._stop.is_set() or time.monotonic() >= end:
                    return False
                left -= 1
                return True

        def work():
            try:
                while take():
                    trial = self.ask()
                    self._run(objective, trial, catch)
                    for callback in callbacks:
                        callback(self, self.trials[trial.number])
            except Exhausted:
                pass
            except BaseException as error:
                errors.append(error)
                self._stop.set()

        if n_jobs == 1:
            work()
        else:
            threads = [threading.Thread(target=work, name=f"strop-tune-{i}", daemon=True) for i in range(n_jobs)]
            for thread in threads:
                thread.start()
            try:
                for thread in threads:
                    thread.join()
            except KeyboardInterrupt:
                self._stop.set()
                for thread in threads:
                    thread.join()
                raise
        if errors:
            raise errors[0]

    def _run(self, objective, trial, catch):
        try:
            values = _values(objective(trial))
        except TrialPruned:
            reports = self._study.reports(trial.number)
            self._study.tell_pruned(trial.number, reports[-1][1] if reports else None)
        except Exception as error:
            text = f"{type(error).__name__}: {error}".replace("\n", " ")
            self._study.tell_failed(trial.number, text.encode(errors="replace").decode())
            if not isinstance(error, tuple(catch) if isinstance(catch, (tuple, list)) else catch):
                raise
        except BaseException:
            self._study.release(trial.number)  # interrupted: whoever asks next runs it again
            raise
        else:
            self._tell_or_fail(trial.number, values)

    def _tell_or_fail(self, number, values):
        try:
            self._study.tell(number, values)
        except strop.InvalidArgument as error:  # too many values, or too few
            self._study.tell_failed(number, str(error))
            raise

    def stop(self) -> None:
        """Ends optimize once its running trials are finished."""
        self._stop.set()

    @property
    def trials(self) -> list[FinishedTrial]:
        return [_finished(row, self._study) for row in self._study.trials()]

    @property
    def best_trial(self) -> FinishedTrial:
        best = self._study.best()
        if best is None:
            raise strop.FailedPrecondition(f'study "{self.study_name}" has no finished and feasible trial yet')
        return _finished(best, self._study)

    @property
    def best_trials(self) -> list[FinishedTrial]:
        """The feasible trials that none beats, the Pareto front: with one objective, those with the best value."""
        return [_finished(row, self._study) for row in self._study.pareto_front()]

    @property
    def best_params(self) -> dict:
        return self.best_trial.params

    @property
    def best_value(self) -> float:
        return self.best_trial.value

    def replay(self) -> list[int]:
        """Asks the sampler again for every trial, with what the event log says was known then, however many processes took
        part. Answers the numbers of the trials that come out otherwise: those that another sampler suggested."""
        return self._study.replay()

    def importances(self, objective: int = 0) -> dict[str, float]:
        """How much of the variance of an objective, counted from 0, over the whole space each parameter explains by
        itself, as a share of 1: functional ANOVA, highest first. Wants 4 trials that have a value."""
        if not 0 <= objective < len(self.directions):
            raise strop.InvalidArgument(f"objective {objective}: the study has {len(self.directions)}, counted from 0")
        return dict(self._study.importances(objective))

    def save_report(self, path: str | os.PathLike) -> None:
        """One HTML page that needs no network: history, parameter importance, parallel coordinates, slices, the Pareto
        front of several objectives, and the trials."""
        self._study.save_report(os.fspath(path))

    def to_csv(self, path: str | os.PathLike) -> None:
        """The trials as CSV, with the columns of to_arrow."""
        self._study.save_csv(os.fspath(path))

    def to_arrow(self):
        """The trials as a pyarrow.Table, or as a dict of columns where pyarrow is not installed."""
        trials = self.trials
        columns = {name: [getattr(trial, name) for trial in trials]
                   for name in ("number", "state", "error", "sampler", "attempts", "started", "finished")}
        objectives = len(self.directions)
        for i in range(objectives):
            columns["value" if objectives == 1 else f"value_{i}"] = [
                trial.values[i] if trial.values else None for trial in trials]
        for name in sorted({name for trial in trials for name in trial.constraints}):
            columns[f"constraint_{name}"] = [trial.constraints.get(name) for trial in trials]
        for name in sorted({name for trial in trials for name in trial.params}):
            values = [trial.params.get(name) for trial in trials]
            kinds = {type(value) for value in values if value is not None}
            if len(kinds) > 1 and not kinds <= {int, float}:  # a column has one type
                values = [None if value is None else str(value) for value in values]
            columns[f"params_{name}"] = values
        try:
            import pyarrow
        except ImportError:
            return columns
        return pyarrow.table(columns)
