"""Rustuna, in memory: TPESampler, multivariate and in groups as Optuna's beside it, or CmaEsSampler, flattened."""

import rustuna
from define_by_run import DefineByRun

PACKAGES = ("rustuna",)


class Tuner(DefineByRun):
    def __init__(self, space, option, seed, trials):
        samplers = rustuna.samplers
        made = samplers.CmaEsSampler(seed=seed) if option == "cmaes" else \
            samplers.TPESampler(multivariate=True, group=True, seed=seed)
        super().__init__(space, rustuna.create_study(sampler=made), option == "cmaes")
