"""1.3: readers and their memory stay on the consumer's NUMA node.

The plans of `strop feed probe --machine` for synthetic machines, every consumer node, and as many readers as that node
has CPUs or fewer. A placement is a CPU that a reader may run on; it crosses when the CPU or the reader's memory lies on
another node than the consumer. Which CPU lies on which node is worked out here from the notation, not asked of Strop.
Plans are compared with nothing bound: every CPU equally likely. No machine of two sockets was timed.
"""

import json
import os
import random
import subprocess
from pathlib import Path

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


def measure(sabotage: bool) -> Measured:
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
    ours, baseline = crossing / placements, sum(unbound) / len(unbound)
    # Plans are deterministic: the count is exact, no interval of chance.
    return Measured(ours, baseline, baseline / max(ours, 1 / placements), [ours, ours], ours <= GOAL, placements)
