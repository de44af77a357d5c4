"""Rustuna, in memory: TPESampler with its defaults, which are Optuna's multivariate ones (it has no groups), or
CmaEsSampler, flattened."""

import rustuna
from define_by_run import DefineByRun

PACKAGES = ("rustuna", "cmaes")


class Tuner(DefineByRun):
    def __init__(self, space, option, seed, trials):
        samplers = {"tpe": rustuna.samplers.TPESampler, "cmaes": rustuna.samplers.CmaEsSampler}
        super().__init__(space, rustuna.create_study(sampler=samplers[option](seed=seed)), option == "cmaes")
