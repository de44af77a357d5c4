"""A peer's child process, seen from run.py."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import process_tree

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PEERS = ("strop", "torch", "streaming", "litdata", "spdl")
PATIENCE = {"describe": 120, "prepare": 1800, "open": 120, "check": 1800, "read": 120}  # seconds, then the child is ended


def python_of(name):
    return sys.executable if name == "strop" else str(ROOT / ".venv-peers" / name / "bin" / "python")


class Peer:
    """One child with one loader at a time."""

    def __init__(self, name, log):
        self.process = subprocess.Popen([python_of(name), str(HERE / "child.py"), name], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=log, text=True, cwd=os.getcwd())

    def call(self, do, **arguments):
        timer = threading.Timer(PATIENCE[do], self.process.kill)
        timer.start()
        try:
            print(json.dumps({"do": do} | arguments), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise RuntimeError(f"{self.process.args[-1]} ended at {do} {arguments}")
        return json.loads(line)

    def open(self, workload, form, workers, batch, folder):
        self.call("open", workload=workload, form=form, workers=workers, batch=batch, folder=folder)

    def read(self, limit, pace=None):
        return self.call("read", limit=limit, pace=pace)

    def watched(self, limit, pace):
        """Reads, and tells the most memory that the child and its children held meanwhile, sampled ten times a second."""
        peak, done = [0, 0], threading.Event()

        def watch():
            while not done.wait(0.1):
                now = process_tree.memory(self.process.pid)
                peak[:] = max(peak[0], now[0]), max(peak[1], now[1])

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.read(limit, pace)
        finally:
            done.set()
            watcher.join()
        return peak

    def close(self):
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
