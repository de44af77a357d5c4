"""A tuner's child process, seen from run.py, and the names of the tuners."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
# By name: the module NAME_tuner.py, and what is asked of it. "strop:NAME" is any sampler of Strop's.
PEERS = {
    "random": ("random", "random"), "grid": ("random", "grid"),
    "optuna-tpe": ("optuna", "tpe"), "optuna-gp": ("optuna", "gp"), "optuna-cmaes": ("optuna", "cmaes"), "optuna-nsga": ("optuna", "nsga"),
    "rustuna-tpe": ("rustuna", "tpe"), "rustuna-cmaes": ("rustuna", "cmaes"), "smac": ("smac", "hpo"),
    "botorch": ("botorch", "logei"),
}
# One thread: ranks are of quality, and latencies are of one core.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class PeerError(Exception):
    pass


def driver(name):
    if name.startswith("strop:"):
        return "strop", name.removeprefix("strop:")
    if name not in PEERS:
        raise PeerError(f"peer {name}: expected strop:SAMPLER or some of {', '.join(PEERS)}")
    return PEERS[name]


def python_of(module):
    return sys.executable if module in ("strop", "random") else str(ROOT / ".venv-peers" / module / "bin/python")


@dataclass
class Run:
    """The best value after each trial, and what each suggestion took with the telling before it."""

    best: np.ndarray
    seconds: np.ndarray


class Peer:
    """One child of one tuner; a study at a time."""

    def __init__(self, name, log=subprocess.DEVNULL, core=None):
        self.name = name
        self.module, self.option = driver(name)
        python = python_of(self.module)
        if not os.path.exists(python):
            raise PeerError(f"peer {name}: not installed; make peers NAME={self.module}")
        pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
        self.process = subprocess.Popen([python, str(HERE / "child.py"), self.module], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | THREADS,
                                        preexec_fn=pin)

    def call(self, do, patience=600, **arguments):
        timer = threading.Timer(patience, self.process.kill)
        timer.start()
        try:
            print(json.dumps({"do": do} | arguments), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise PeerError(f"{self.name} ended at {do}, in {patience} s at most")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.name}, {do}: {answer['error']}")
        return answer

    def versions(self):
        return self.call("describe")["versions"]

    def run(self, problem, seed, trials, enough=None):
        """A study of so many trials; `enough(number of trials, best value)` ends it before that."""
        self.call("open", space=problem.space, option=self.option, seed=seed, trials=trials)
        best, seconds, value = [], [], None
        while len(best) < trials:
            answer = self.call("next", value=value)
            if answer["params"] is None:
                break
            value = problem.evaluate(answer["params"])
            best.append(min(value, best[-1]) if best else value)
            seconds.append(answer["seconds"])
            if enough and enough(len(best), best[-1]):
                break
        return Run(np.array(best), np.array(seconds))

    def close(self):
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
