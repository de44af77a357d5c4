"""The result of run.py as a page.

    .venv/bin/python bench/peers/feed/report.py build/feed_peers.json > docs/feed_peers.md
"""

import json
import sys

NAMES = {"strop": "Strop", "torch": "torch DataLoader", "streaming": "MosaicML Streaming", "litdata": "LitData",
         "spdl": "SPDL"}
ABOUT = {"vectors": "Feature vectors: float32 [512] and a label",
         "images": "JPEG images: decode, random resized crop, flip, normalise", "table": "A table of 30 columns"}
INTRODUCTION = """# feed beside its peers

Made by `bench/peers/feed/report.py` from `bench/peers/feed/run.py`, whose docstring says how to repeat it and
what is counted. The loaders of a workload take turns in one run. Every loader reads the same rows from the page cache, shuffles, and gives torch tensors of the same
types and shapes; how each is set up is in the docstring of its driver, `bench/peers/feed/NAME_loader.py`. A core is a
second of CPU time of the loader's whole process tree. Ranges are the slowest and fastest round.
"""


def per_core(entry):
    return entry["records_per_cpu_second"]["median"]


def ranged(values):
    return f"{values['median']:,.0f} ({values['low']:,.0f}–{values['high']:,.0f})"


def line(cells):
    return "| " + " | ".join(cells) + " |"


def head(titles):
    return [line(titles), line(["---"] + ["---:"] * (len(titles) - 1))]


def name_of(entry):
    return f"{NAMES[entry['peer']]}, {entry['form']}"


def speed_table(entries):
    ours = max((per_core(entry) for entry in entries if entry["peer"] == "strop"), default=None)
    yield from head(["loader, what it reads", "workers", "records/s", "records/s a core", "Strop's a core is"])
    for entry in sorted(entries, key=per_core, reverse=True):
        ratio = f"{ours / per_core(entry):.2f} ×" if ours else ""
        yield line([name_of(entry), str(entry["workers"]), ranged(entry["records_per_second"]),
                    ranged(entry["records_per_cpu_second"]), ratio])


def utilisation_table(entries, pace):
    yield from head(["loader, what it reads", "workers", "fastest records/s at 90%", f"at {pace:,.0f} records/s"])
    for entry in sorted(entries, key=lambda entry: -entry["utilisation"]["fastest_pace"]):
        found = entry["utilisation"]
        yield line([name_of(entry), str(found["workers"]), f"{found['fastest_pace']:,.0f}",
                    f"{100 * found['at_common_pace']:.1f}%"])


def memory_table(entries):
    workers = list(entries[0]["memory"])
    yield from head(["loader, what it reads, with workers"] + workers)
    for entry in entries:
        yield line([name_of(entry)] + [f"{entry['memory'][count]['bytes'] / 2**20:,.0f} MiB" for count in workers])


def page(result):
    machine = result["machine"]
    versions = {package: number for packages in result["versions"].values() for package, number in packages.items()}
    yield INTRODUCTION
    yield (f"Machine: {machine['cores']} cores of {machine['cpu']}, {machine['memory_bytes'] / 2**30:.0f} GiB of "
           f"memory, Linux {machine['kernel']}; load {machine['load_at_start']:.1f} at the start. "
           + ", ".join(f"{package} {number}" for package, number in sorted(versions.items())) + ".\n")
    for workload, scale in result["scale"].items():
        entries = [entry for entry in result["entries"] if entry["workload"] == workload]
        yield f"## {ABOUT[workload]}\n"
        yield f"{scale['rows']:,} rows, {scale['batch']:,} a batch.\n"
        yield from speed_table(entries)
        for key, title, table in (
                ("utilisation", "Utilisation of an emulated accelerator (MLPerf Storage):",
                 lambda chosen: utilisation_table(chosen, result["paces"][workload])),
                ("memory", "Anonymous and shared memory of the process tree, at its peak:", memory_table)):
            chosen = [entry for entry in entries if key in entry]
            if chosen:
                yield f"\n{title}\n"
                yield from table(chosen)
        yield ""
    if result["prepared"]:
        yield "## What converting took\n"
        yield from head(["format", "seconds", "MB"])
        for name, made in result["prepared"].items():
            peer, _, workload = name.partition(", ")
            yield line([f"{NAMES[peer]}, {workload}", f"{made['seconds']:.0f}", f"{made['bytes'] / 1e6:,.0f}"])


def main():
    with open(sys.argv[1]) as file:
        result = json.load(file)
    print("\n".join(page(result)))


if __name__ == "__main__":
    main()
