"""1.3: readers and their memory stay on the consumer's NUMA node.

The plans of `strop feed probe --machine` for synthetic machines, every consumer node, and as many readers as that node
has CPUs or fewer. A placement is a CPU that a reader may run on; it crosses when the CPU or the reader's memory lies on
another node than the consumer. Which CPU lies on which node is worked out here from the notation, not asked of Strop.
Plans are compared with nothing bound: every CPU equally likely.

Where qemu and a kernel are at hand, loaders run in guests of two and four nodes as well (numa_guest.py): every CPU that
a reader may run on or ran on, and every page of their batches, is a placement too, by the guest's kernel. The record's
field "guest" has their counts, bound and with nothing bound, or says why no guest ran; then nothing is known of pages.
A guest that was tried and failed refutes the claim. The guests are emulated: no machine of two sockets was timed.

Sabotage: a random CPU for every reader of a plan; in the guests, loaders with nothing bound.
"""

import json
import os
import random
import subprocess
from collections import Counter
from pathlib import Path

import numa_guest
from measured import Measured

TITLE = "Zero placements across NUMA nodes while the consumer's node has room"
METRIC = "placements on another node than the consumer's"
UNIT = "share"
ARTICLE = None
GOAL = 0.0
BASELINE = "unbound threads, every CPU equally likely"

# hwloc's synthetic notation, NUMA nodes, and CPUs of each node, which are numbered node after node.
MACHINES = [
    ("package:2 numa:1 l3:1 core:8 pu:2", 2, 16),
    ("package:2 numa:1 l3:2 core:4 pu:1", 2, 8),
    ("package:2 numa:2 l3:1 core:6 pu:2", 4, 12),   # sub-NUMA clusters
    ("package:2 numa:4 l3:1 core:8 pu:2", 8, 16),
    ("package:4 numa:1 l3:1 core:4 pu:2", 4, 8),
    ("package:1 numa:1 l3:1 core:16 pu:2", 1, 32),
    ("package:1 numa:4 l3:2 core:4 pu:1", 4, 8),
]


def plan(machine: str, workers: int, node: int) -> list[dict]:
    strop = Path(os.environ["STROP_BUILD"]).resolve() / "strop/bin/strop"
    done = subprocess.run([strop, "feed", "probe", "--machine", machine, "--workers", str(workers), "--consumer-node",
                           str(node), "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["placement"]["readers"]


def plans(sabotage: bool) -> tuple[int, int, float]:
    """Placements, those that cross, and the share that would with nothing bound."""
    rng = random.Random(1)
    crossing = placements = 0
    unbound = []
    for machine, nodes, cpus in MACHINES:
        for node in range(nodes):
            for workers in sorted({1, 2, cpus // 2, cpus}):
                readers = plan(machine, workers, node)
                if sabotage:
                    readers = [{"cpus": [rng.randrange(nodes * cpus)], "node": reader["node"]} for reader in readers]
                assert len(readers) == workers
                for reader in readers:
                    placements += len(reader["cpus"])
                    crossing += sum(cpu // cpus != node or reader["node"] != node for cpu in reader["cpus"])
                    unbound.append(1 - 1 / nodes)
    return placements, crossing, sum(unbound) / len(unbound)


def guests() -> tuple[Counter, Counter]:
    """What is found in the guests, of loaders that Strop binds and of those with nothing bound."""
    bound, unbound = Counter(), Counter()
    for layout in numa_guest.LAYOUTS:
        done = numa_guest.run(layout)
        bound.update(numa_guest.tally(layout, [look for look in done if look.binds]))
        unbound.update(numa_guest.tally(layout, [look for look in done if not look.binds]))
    return bound, unbound


def measure(sabotage: bool) -> Measured:
    placements, crossing, baseline = plans(sabotage)
    least = 1 / placements  # of a ratio: pages by the thousand would only make it look larger
    failed = False
    if why := numa_guest.missing():
        guest = f"not run: {why}"
    else:
        try:
            bound, unbound = guests()
            ours = unbound if sabotage else bound
            placements += ours["reader_cpus"] + ours["pages"]
            crossing += ours["reader_cpus_crossing"] + ours["pages_crossing"]
            guest = {"kernel": numa_guest.kernel().name, "nodes": [layout.nodes for layout in numa_guest.LAYOUTS],
                     "bound": bound, "unbound": unbound}
        except numa_guest.GuestError as error:
            failed, guest = True, f"failed: {error}"
    share = crossing / placements
    # Plans are deterministic, and in the guests everything is counted: no interval of chance.
    return Measured(share, baseline, baseline / max(share, least), [share, share], share <= GOAL and not failed,
                    placements, {"guest": guest})
