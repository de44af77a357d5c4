"""strop.tune.Study with a sampler by name. A study that is to change its sampler lies in a file, others in memory."""

import tempfile
from pathlib import Path

from strop.tune import Choice, Exhausted, Float, Int, Study

PACKAGES = ()


def domain(one):
    when = one.get("when", {})
    if one["type"] == "choice":
        return Choice(one["values"], when=when)
    kind = Float if one["type"] == "float" else Int
    return kind(one["low"], one["high"], log=one.get("log", False), when=when)


class Tuner:
    def __init__(self, space, option, seed, trials, changes=False, objectives=1):
        if changes:
            self.folder = tempfile.TemporaryDirectory()
            self.storage = f"sqlite:///{Path(self.folder.name) / 'study.db'}"
        self.study = Study({one["name"]: domain(one) for one in space}, sampler=option, seed=seed,
                           direction=["minimize"] * objectives, storage=self.storage if changes else None)

    def change(self, option):
        """Goes on with another sampler."""
        self.study = Study.load(self.storage, sampler=option)

    def ask(self):
        try:
            self.trial = self.study.ask()
        except Exhausted:
            return None
        return self.trial.params

    def tell(self, value):
        self.study.tell(self.trial, value)
