"""strop.tune beside its peers, on BBOB and on recorded tables of real trainings (bench/problems).

    make peers NAME=optuna; make peers NAME=rustuna; make peers NAME=smac; make peers NAME=botorch
    PYTHONPATH=build/dev .venv/bin/python bench/peers/tune/run.py --peers strop:gp random optuna-tpe --suite small --seeds 5

Every study is asked and told one trial at a time, in a process of its own and on one thread; how each tuner is set up is
in the docstring of its driver, NAME_tuner.py. The table has, after --trials trials and at the earlier --at: the mean rank
over problems and seeds (95% interval over seeds), the mean regret in units of a problem's scale (1: where the best
tenth of random trials begins), and the median milliseconds of a suggestion, the telling before it included.

Peers' runs are kept in build/tune_peers, so a stopped run goes on where it was, and are used again; those of Strop's
are made anew every time. --store writes what was kept to bench/peers/results/tune.parquet, which report.py and the
claims read:

    PYTHONPATH=build/dev .venv/bin/python bench/peers/tune/run.py --peers random grid optuna-tpe optuna-cmaes rustuna-tpe \\
        optuna-gp smac botorch --suite standard --seeds 20 --trials 100 --store
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import numpy as np  # noqa: E402
import results  # noqa: E402
import summary  # noqa: E402
from peer import Peer, PeerError, driver  # noqa: E402
from problems import suites  # noqa: E402
from studies import complete, milliseconds, run_all  # noqa: E402


def table(runs, peers, problems, seeds, counts):
    """Lines of text: a peer a line, the best mean rank first."""
    columns = {}
    for trials in counts:
        regrets = summary.at(runs, peers, problems, seeds, trials)
        low, high = summary.interval(summary.resampled_ranks(regrets))
        columns[trials] = list(zip(summary.mean_ranks(regrets), low, high, summary.normalised(regrets, problems)))
    yield f"{len(problems)} problems, {len(seeds)} seeds: mean rank [95% over seeds] and regret, after so many trials"
    yield f"{'':16}" + "".join(f"{trials:>18}{'':>9}" for trials in counts) + f"{'ms':>9}"
    for i in sorted(range(len(peers)), key=lambda i: columns[counts[-1]][i][0]):
        cells = [f"{rank:6.2f} [{low:5.2f},{high:5.2f}]{regret:8.3f}"[:27].rjust(27)
                 for rank, low, high, regret in (columns[trials][i] for trials in counts)]
        yield f"{peers[i]:16}" + "".join(cells) + f"{milliseconds(runs, peers[i]):9.2f}"


def by_problem(runs, peers, problems, seeds, trials):
    """The same a problem: ranks and normalised regrets, the mean over seeds."""
    regrets = summary.at(runs, peers, problems, seeds, trials)
    ranks = summary.ranks(regrets).mean(2)
    yield f"after {trials} trials: mean rank, regret of each problem"
    yield f"{'':18}" + "".join(f"{peer:>16}" for peer in peers)
    for row, (name, problem) in enumerate(problems.items()):
        yield f"{name:18}" + "".join(f"{ranks[i, row]:7.2f}{regrets[i, row].mean() / problem.scale:9.4f}"
                                     for i in range(len(peers)))


def to_targets(runs, peers, problems, seeds, trials):
    """Median trials to what random reaches in 200, where random has run that far."""
    if not all(len(runs["random", name, seed].best) >= 200 for name in problems for seed in seeds):
        return
    found = summary.targets(runs, problems, seeds)
    yield "median over problems of the median trials to what random reaches in 200 (unreached: the budget)"
    for peer in peers:
        medians = [np.median([summary.trials_to(runs[peer, name, seed], found[name], trials) for seed in seeds])
                   for name in problems]
        yield f"{peer:16}{np.median(medians):8.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", default=["strop:gp", "random"], help="also with commas between")
    parser.add_argument("--suite", default="small", help=f"{', '.join(suites.SUITES)}, or problems with commas between")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--at", type=int, nargs="*", help="earlier numbers of trials to compare at; a quarter and a half")
    parser.add_argument("--jobs", type=int, default=1, help="studies at a time")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no study after so long")
    parser.add_argument("--problems", action="store_true", help="a line a problem, too")
    parser.add_argument("--store", action="store_true", help="write the peers' runs to bench/peers/results/tune.parquet")
    parser.add_argument("--log", help="what the tuners print goes here")
    arguments = parser.parse_args()
    peers = [peer for given in arguments.peers for peer in given.split(",")]
    try:
        for peer in peers:
            driver(peer)
    except PeerError as error:
        parser.error(str(error))
    problems = {name: suites.load(name) for name in suites.names(arguments.suite)}
    log = open(arguments.log, "a") if arguments.log else subprocess.DEVNULL
    seeds = range(arguments.seeds)
    runs = run_all(peers, problems, seeds, arguments.trials, arguments.jobs, log,
                   end=time.monotonic() + 60 * arguments.minutes)
    if arguments.store:
        versions = {}
        for peer in (peer for peer in peers if not peer.startswith("strop:")):
            with Peer(peer, log) as child:
                versions[peer] = child.versions()
        command = f"run.py --peers {' '.join(peers)} --suite {arguments.suite} --seeds {arguments.seeds} --trials {arguments.trials}"
        print(f"{results.store(versions, command)} runs in {results.STORED.name}")
    seeds = complete(runs, peers, problems, seeds)
    if not seeds:
        raise SystemExit("no seed has been run by every peer on every problem")
    counts = arguments.at if arguments.at is not None else [arguments.trials // 4, arguments.trials // 2]
    print("\n".join(table(runs, peers, problems, seeds, [*counts, arguments.trials])))
    if arguments.problems:
        print("\n".join(by_problem(runs, peers, problems, seeds, arguments.trials)))
    if "random" in peers:
        print("\n".join(to_targets(runs, peers, problems, seeds, arguments.trials)))


if __name__ == "__main__":
    main()
