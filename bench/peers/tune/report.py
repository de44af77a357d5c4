"""The kept runs of the peers as a page, beside runs of Strop's default that are made now.

    PYTHONPATH=build/dev .venv/bin/python bench/peers/tune/report.py > docs/tune_peers.md
"""

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import results  # noqa: E402
import summary  # noqa: E402
from problems import suites  # noqa: E402
from studies import complete, milliseconds, run_all  # noqa: E402

INTRODUCTION = """# tune beside its peers

Made by `bench/peers/tune/report.py` from the peers' runs in `bench/peers/results/tune.parquet` and Strop's of the same
problems and seeds. How each tuner is set up is in the docstring of its driver, `bench/peers/tune/NAME_tuner.py`; the
problems are listed in `bench/problems/suites.py`. A study asks and tells one trial at a time, on one thread. Ranks are among
the peers of a table, 1 the best; in brackets the 95% interval over seeds. Regret is the mean over problems and seeds, 1
where the best tenth of random trials begins. A suggestion's time, the telling before it included, is the median of all
trials.
"""
COUNTS = (10, 25, 50, 100, 200)
OURS = "strop:auto"


def peers_of(runs, problems, trials):
    """Those with runs so long of every problem in some seed, and the seeds that all of them share."""
    peers = sorted({peer for peer, *_ in runs})
    peers = [peer for peer in peers if complete(runs, [peer], problems, range(20))]
    return peers, complete(runs, peers, problems, range(20)) if peers else []


def table(problems, trials):
    runs = results.load(trials, stored_only=True)
    peers, seeds = peers_of(runs, problems, trials)
    if len(peers) < 2 or not seeds:
        return
    runs |= run_all([OURS], problems, seeds, trials, len(os.sched_getaffinity(0)))
    peers.append(OURS)
    regrets = summary.at(runs, peers, problems, seeds, trials)
    ranks, regret = summary.mean_ranks(regrets), summary.normalised(regrets, problems)
    low, high = summary.interval(summary.resampled_ranks(regrets))
    yield f"\nAfter {trials} trials, {len(seeds)} seeds:\n"
    yield "| tuner | mean rank | regret | ms a suggestion |\n| --- | ---: | ---: | ---: |"
    for i in ranks.argsort():
        yield (f"| {peers[i]} | {ranks[i]:.2f} [{low[i]:.2f}, {high[i]:.2f}] | {regret[i]:.4f} | "
               f"{milliseconds(runs, peers[i]):.2f} |")


def page():
    about = json.loads(results.schema().metadata[b"tune"])
    yield INTRODUCTION
    for peer, versions in sorted(about["versions"].items()):
        yield f"- {peer}: " + ", ".join(f"{package} {version}" for package, version in versions.items() if version)
    yield "\nCommands:\n"
    yield from (f"    {command}" for command in about["commands"])
    for suite, title in (("standard", "BBOB and tables"), ("tables", "Tables of real trainings alone")):
        problems = {name: suites.load(name) for name in suites.names(suite)}
        yield f"\n## {title}\n\n{', '.join(problems)}."
        for trials in COUNTS:
            yield from table(problems, trials)


if __name__ == "__main__":
    print("\n".join(page()))
