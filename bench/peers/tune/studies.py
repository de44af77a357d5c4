"""Many studies of many tuners, run or looked up."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import results
from peer import Peer, PeerError, Run
from tqdm import tqdm


class Children:
    """Of the calling thread, a child a peer."""

    def __init__(self, log):
        self.log, self.local, self.all = log, threading.local(), []

    def get(self, peer):
        mine = self.local.__dict__
        if peer not in mine:
            mine[peer] = Peer(peer, self.log)
            self.all.append(mine[peer])
        return mine[peer]

    def drop(self, peer):
        self.local.__dict__.pop(peer).close()

    def close(self):
        for child in self.all:
            child.close()


def run_all(peers, problems, seeds, trials, jobs=1, log=subprocess.DEVNULL, enough=None, end=float("inf")):
    """Runs by (peer, problem, seed), seed by seed, so that a stopped run has compared all alike; those that are kept are
    not made again. `enough(problem's name)` gives Peer.run its end. A study that fails is left out, and said."""
    kept = results.load(trials)
    runs, wanted = {}, []
    for seed in seeds:
        for name in problems:
            for peer in peers:
                key = (peer, name, seed)
                if key in kept and not peer.startswith("strop:"):
                    runs[key] = kept[key]
                else:
                    wanted.append(key)
    children, lock = Children(log), threading.Lock()
    bar = tqdm(total=len(wanted), desc="studies", disable=None)

    def work(key):
        peer, name, seed = key
        if time.monotonic() > end:
            return
        try:
            made = children.get(peer).run(problems[name], seed, trials, enough and enough(name))
        except PeerError as error:
            if peer in children.local.__dict__:
                children.drop(peer)
            print(f"{name}, seed {seed}: {error}", file=sys.stderr)
            return
        with lock:
            bar.update()
            runs[key] = made
            if not peer.startswith("strop:"):
                results.append(peer, name, seed, trials, made)
                runs[key] = Run(made.best, np.array(results.blocks(made.seconds)))

    try:
        with ThreadPoolExecutor(jobs) as pool:
            for _ in pool.map(work, wanted):
                pass
    finally:
        children.close()
        bar.close()
    return runs


def complete(runs, peers, problems, seeds):
    """The seeds that every peer has of every problem."""
    return [seed for seed in seeds if all((peer, name, seed) in runs for peer in peers for name in problems)]


def milliseconds(runs, peer):
    return 1e3 * float(np.median(np.concatenate([run.seconds for (name, *_), run in runs.items() if name == peer])))
