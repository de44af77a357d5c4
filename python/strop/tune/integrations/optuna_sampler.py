"""Strop's samplers in an Optuna study: optuna.create_study(sampler=OptunaSampler())."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable, Sequence

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers._base import _process_constraints_after_trial
from optuna.study import StudyDirection
from optuna.trial import TrialState

from strop import _tune
from strop.tune.integrations.optuna_space import LearntSpace, SeenTrial, union_space
from strop.tune.samplers import Sampler, make_sampler
from strop.tune.study import Exhausted, checked_seed

__all__ = ["OptunaSampler"]

_SUGGESTION = "strop"  # the trial's system attribute: what was suggested, by whom and why


class OptunaSampler(BaseSampler):
    """Suggests trials of an Optuna study, with several objectives, constraints, and define-by-run spaces.

    sampler: a name or an object of strop.tune.samplers. constraints_func is that of Optuna's samplers.

    A suggestion is a function of the study's trials, of `seed` and of the trial's number; the sampler keeps nothing, so
    a study resumes from its storage, and processes may share one. What conditions parameters have is learnt from the
    trials (optuna_space.py). A parameter that no trial has asked for before, or whose range no longer holds what was
    suggested, is drawn at random; so is all of a trial when every configuration of a discrete space was tried.
    Failed trials count as bad ones, and so do those whose value is not finite; pruned ones by their last value.
    """

    def __init__(self, sampler: str | Sampler = "auto", seed: int | None = 0, *,
                 constraints_func: Callable[..., Sequence[float]] | None = None):
        make_sampler(sampler)  # an error is due now
        self._sampler = sampler
        self._seed = checked_seed(seed)
        self._constraints_func = constraints_func

    def infer_relative_search_space(self, study, trial) -> dict[str, BaseDistribution]:
        return union_space(_others(study, trial))

    def sample_relative(self, study, trial, search_space: dict[str, BaseDistribution]) -> dict:
        if not search_space:
            return {}
        trials = _others(study, trial)
        seen = [_seen(other) for other in trials]
        space = LearntSpace(search_space, seen)
        finished, pending = [], []
        for other, of_it, violations in zip(trials, seen, _all_violations(trials), strict=True):
            row = (other.number, space.encode({**of_it.unused, **of_it.values}), _losses(study, other),
                   violations, other.system_attrs.get(_SUGGESTION, {}).get("state", ""))
            (finished if other.state.is_finished() else pending).append(row)
        try:
            params, *about = make_sampler(self._sampler).ask(space.space._space, finished, pending, self._seed,
                                                             trial.number, len(study.directions), _seconds(trials))
        except Exhausted:
            params, *about = _random(space, self._seed, trial)
        values = space.decode(params)
        suggestion = dict(zip(("sampler", "reason", "state"), about, strict=True)) | {"values": values}
        study._storage.set_trial_system_attr(trial._trial_id, _SUGGESTION, suggestion)
        return {name: search_space[name].to_external_repr(value) for name, value in values.items()}

    def sample_independent(self, study, trial, param_name: str, param_distribution: BaseDistribution):
        space = LearntSpace({param_name: param_distribution}, [])
        of_name = hashlib.blake2b(f"{self._seed} {param_name}".encode(), digest_size=8).digest()
        params, *_ = _random(space, int.from_bytes(of_name), trial)
        return param_distribution.to_external_repr(space.decode(params)[param_name])

    def after_trial(self, study, trial, state: TrialState, values: Sequence[float] | None) -> None:
        if self._constraints_func is not None:
            _process_constraints_after_trial(self._constraints_func, study, trial, state)


def _random(space: LearntSpace, seed: int, trial) -> tuple:
    return _tune.Sampler.named("random").ask(space.space._space, [], [], seed, trial.number)


def _others(study, trial) -> list:
    """The study's other trials, by number; not those that are only enqueued."""
    return [other for other in study.get_trials(deepcopy=False)
            if other.state != TrialState.WAITING and other.number != trial.number]


def _seen(trial) -> SeenTrial:
    values = {name: trial.distributions[name].to_internal_repr(value) for name, value in trial.params.items()}
    suggested = trial.system_attrs.get(_SUGGESTION, {}).get("values", {})
    unused = {name: value for name, value in suggested.items() if name not in values}
    return SeenTrial(values, trial.state == TrialState.COMPLETE, unused)


def _losses(study, trial) -> list[float]:
    if not trial.state.is_finished() or not trial.values or not all(map(math.isfinite, trial.values)):
        return []
    return [-value if direction == StudyDirection.MAXIMIZE else value
            for value, direction in zip(trial.values, study.directions, strict=True)]


def _constraints(trial) -> dict[str, float]:
    if hasattr(trial, "constraints"):  # since Optuna 5
        return trial.constraints
    return dict(enumerate(trial.system_attrs.get("constraints") or ()))


def _all_violations(trials) -> list[list[float]]:
    """Of each trial that told of constraints, one for every constraint of the study: those it did not tell of hold.
    Optuna lets them be infinite: the largest finite one stands for that."""
    told = [_constraints(trial) for trial in trials]
    names = sorted({name for own in told for name in own})
    largest = max([1.0, *(abs(value) for own in told for value in own.values() if math.isfinite(value))])
    return [[min(max(float(own.get(name, 0.0)), -largest), largest) for name in names] if own else [] for own in told]


def _seconds(trials) -> float:
    """What a trial takes; 0 before one is complete."""
    seconds = [trial.duration.total_seconds() for trial in trials
               if trial.state == TrialState.COMPLETE and trial.duration is not None]
    return statistics.median(seconds) if seconds else 0.0
