"""SMAC3's HyperparameterOptimizationFacade (random forest, log expected improvement) by ask and tell, told that the
objective is deterministic. Conditions are ConfigSpace's own; ints are ints."""

import logging
import tempfile
import warnings

from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import TrialValue

PACKAGES = ("smac", "configspace", "pyrfr", "scikit-learn", "numpy")
warnings.simplefilter("ignore")


def hyperparameter(one):
    if one["type"] == "choice":
        return Categorical(one["name"], one["values"])
    kind = Float if one["type"] == "float" else Integer
    return kind(one["name"], (one["low"], one["high"]), log=one.get("log", False))


def configuration_space(space, seed):
    made = ConfigurationSpace(seed=seed)
    for one in space:
        made.add(hyperparameter(one))
    for one in space:
        for parent, value in one.get("when", {}).items():
            made.add(EqualsCondition(made[one["name"]], made[parent], value))
    return made


class Tuner:
    def __init__(self, space, option, seed, trials):
        self.folder = tempfile.TemporaryDirectory()
        self.values = {one["name"]: {str(value): value for value in one["values"]} for one in space
                       if one["type"] == "choice"}
        scenario = Scenario(configuration_space(space, seed), deterministic=True, n_trials=trials, seed=seed,
                            output_directory=self.folder.name)
        self.smac = HyperparameterOptimizationFacade(scenario, lambda config, seed=0: 0.0, overwrite=True,
                                                     logging_level=logging.ERROR)

    def ask(self):
        self.info = self.smac.ask()
        params = {}
        for name, value in dict(self.info.config).items():  # NumPy's scalars are not JSON
            params[name] = self.values[name][str(value)] if name in self.values else getattr(value, "item", lambda: value)()
        return params

    def tell(self, value):
        self.smac.tell(self.info, TrialValue(cost=value, time=0.0))
