"""BoTorch, as a careful user runs it.

A space of floats alone: Sobol points for the first 2 (d + 1) trials (at most 20), then SingleTaskGP with its defaults
on standardized values, and LogExpectedImprovement of the best value by optimize_acqf, 10 restarts of 512 raw samples.
Any other space: Ax's Client with its defaults, which chooses BoTorch's models for ints and choices; conditional
parameters are dependent parameters of their choice.
"""

import logging
import warnings

import torch
from problems.problem import active

PACKAGES = ("botorch", "gpytorch", "ax-platform", "torch")
warnings.simplefilter("ignore")
torch.set_num_threads(1)
torch.set_default_dtype(torch.double)


class Loop:
    """Of floats, none of them in a logarithm, to the unit cube."""

    def __init__(self, space, seed, trials):
        from botorch.utils.sampling import draw_sobol_samples

        torch.manual_seed(seed)
        self.space, dimension = space, len(space)
        self.bounds = torch.tensor([[0.0] * dimension, [1.0] * dimension])
        first = min(2 * (dimension + 1), 20)
        self.first = draw_sobol_samples(self.bounds, n=first, q=1, seed=seed).squeeze(1)
        self.points, self.values = torch.empty(0, dimension), []

    def ask(self):
        asked = len(self.values)
        point = self.first[asked] if asked < len(self.first) else self.model_based()
        self.points = torch.cat([self.points, point[None]])
        return {one["name"]: one["low"] + float(u) * (one["high"] - one["low"]) for one, u in zip(self.space, point)}

    def model_based(self):
        from botorch.acquisition import LogExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.optim import optimize_acqf
        from gpytorch.mlls import ExactMarginalLogLikelihood

        values = -torch.tensor(self.values)
        values = ((values - values.mean()) / values.std().clamp_min(1e-12))[:, None]
        model = SingleTaskGP(self.points, values)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        improvement = LogExpectedImprovement(model, best_f=values.max())
        best, _ = optimize_acqf(improvement, self.bounds, q=1, num_restarts=10, raw_samples=512)
        return best[0].detach()

    def tell(self, value):
        self.values.append(value)


class Ax:
    def __init__(self, space, seed, trials):
        import ax
        from ax.api.client import Client

        logging.getLogger("ax").setLevel(logging.ERROR)
        self.space = space
        self.client = Client(random_seed=seed)
        self.client.configure_experiment([self.parameter(ax, one) for one in space])
        self.client.configure_optimization(objective="-value")

    def parameter(self, ax, one):
        if one["type"] != "choice":
            return ax.RangeParameterConfig(name=one["name"], bounds=(one["low"], one["high"]), parameter_type=one["type"],
                                           scaling="log" if one.get("log") else None)
        children = {}
        for child in self.space:
            for parent, value in child.get("when", {}).items():
                if parent == one["name"]:
                    children.setdefault(value, []).append(child["name"])
        kind = "bool" if isinstance(one["values"][0], bool) else "str"
        return ax.ChoiceParameterConfig(name=one["name"], values=one["values"], parameter_type=kind, is_ordered=False,
                                        dependent_parameters=children or None)

    def ask(self):
        made = self.client.get_next_trials(max_trials=1)
        if not made:
            return None
        ((self.index, found),) = made.items()
        params = {}
        for one in self.space:
            if active(one, params):
                params[one["name"]] = found[one["name"]]
        return params

    def tell(self, value):
        self.client.complete_trial(self.index, raw_data={"value": value})


class Tuner:
    def __init__(self, space, option, seed, trials):
        continuous = all(one["type"] == "float" and not one.get("log") for one in space)
        made = (Loop if continuous else Ax)(space, seed, trials)
        self.ask, self.tell = made.ask, made.tell
