"""Optuna, in memory.

tpe    TPESampler, multivariate and in groups: conditional parameters are modelled together where they are active.
gp     GPSampler for an objective without noise. It models only what every trial has, so a conditional space is flattened
       for it: it is asked for all parameters, and those that are not active go unused.
cmaes  CmaEsSampler, with margin where there are ints; flattened too. Optuna draws choices at random beside it.
nsga   NSGAIISampler, for several objectives, with a population of 20: studies have some dozens of trials.
"""

import warnings

import optuna
from define_by_run import DefineByRun

PACKAGES = ("optuna", "cmaes", "torch", "scipy", "numpy")
optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")


def sampler(option, space, seed):
    if option == "tpe":
        return optuna.samplers.TPESampler(multivariate=True, group=True, seed=seed)
    if option == "gp":
        return optuna.samplers.GPSampler(deterministic_objective=True, seed=seed)
    if option == "nsga":
        return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
    if option == "cmaes":
        return optuna.samplers.CmaEsSampler(with_margin=any(one["type"] == "int" for one in space), seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)


class Tuner(DefineByRun):
    def __init__(self, space, option, seed, trials, changes=False, objectives=1):
        self.seed = seed
        study = optuna.create_study(sampler=sampler(option, space, seed), directions=["minimize"] * objectives)
        super().__init__(space, study, option in ("gp", "cmaes"))

    def change(self, option):
        self.study.sampler = sampler(option, self.space, self.seed)
