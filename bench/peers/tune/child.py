"""One tuner in a process of its own, for peer.py: reads commands, one JSON object a line, and answers each with one.

    describe {}: versions
    open     {"space", "option", "seed", "trials", "changes" or "objectives"}: begins a study
    next     {"value"}: tells the value of the last configuration, or its values (null: there was none), and asks for
             another: {"params": null when there is none left, "seconds" that both took}
    loop     {"trials"}: that many trials of the sum of squares, asked and told here: {"seconds" of all}
    change   {"option"}: goes on with another sampler

A command that fails answers {"error"}. What a tuner prints goes to stderr.
"""

import importlib
import json
import os
import sys
import time
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


class Child:
    def __init__(self, driver):
        self.driver = driver

    def describe(self):
        return {"versions": {package: version(package) for package in self.driver.PACKAGES}}

    def open(self, space, option, seed, trials, **more):
        self.tuner = self.driver.Tuner(space, option, seed, trials, **more)
        return {}

    def next(self, value):
        begin = time.perf_counter()
        if value is not None:
            self.tuner.tell(value)
        params = self.tuner.ask()
        return {"params": params, "seconds": time.perf_counter() - begin}

    def loop(self, trials):
        begin = time.perf_counter()
        for _ in range(trials):
            self.tuner.tell(sum(value * value for value in self.tuner.ask().values()))
        return {"seconds": time.perf_counter() - begin}

    def change(self, option):
        self.tuner.change(option)
        return {}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    child = Child(importlib.import_module(f"{sys.argv[1]}_tuner"))
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(child, command.pop("do"))(**command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
