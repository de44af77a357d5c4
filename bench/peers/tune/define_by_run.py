"""Ask and tell by suggest_* calls, which Optuna and Rustuna share."""

from problems.problem import active


def suggest(trial, one):
    if one["type"] == "choice":
        return trial.suggest_categorical(one["name"], one["values"])
    kind = trial.suggest_float if one["type"] == "float" else trial.suggest_int
    return kind(one["name"], one["low"], one["high"], log=one.get("log", False))


class DefineByRun:
    """`flat`: every parameter is asked for in every trial, and those that are not active go unused."""

    def __init__(self, space, study, flat):
        self.space, self.study, self.flat = space, study, flat

    def ask(self):
        self.trial, params = self.study.ask(), {}
        for one in self.space:
            runs = active(one, params)
            if runs or self.flat:
                value = suggest(self.trial, one)
            if runs:
                params[one["name"]] = value
        return params

    def tell(self, value):
        self.study.tell(self.trial.number, value)
