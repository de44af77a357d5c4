"""`strop bench` of the models of bench/models beside ONNX Runtime and OpenVINO, at 1 and 2 threads and batches of 1 and 8,
in one run on one machine: docs/engine_peers.md.

    python bench/models/make.py build/models
    STROP_BUILD=build/dev python bench/peers/engine.py build/models > docs/engine_peers.md

A line a measurement: the median latency of each runtime and how many times Strop is as fast as the faster of the two.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

GOALS = {"int8": 1.2, "digits": 2.0}  # by a word of the model's name; others 1


def measure(model, threads, batch):
    command = [Path(os.environ["STROP_BUILD"]) / "strop/bin/strop-bench", model, "--threads", str(threads), "--batch",
               str(batch), "--against", "onnxruntime,openvino", "--seconds", "3", "--keep-plan", "--json"]
    if "digits" in model.name:  # OpenVINO has no trees
        command[command.index("onnxruntime,openvino")] = "onnxruntime"
    done = subprocess.run(command, capture_output=True, text=True, timeout=600,
                          env=os.environ | {"STROP_PYTHON": sys.executable})
    if done.returncode:
        raise SystemExit(f"{model}: {done.stderr}")
    return json.loads(done.stdout)


def row(model, threads, batch):
    found = measure(model, threads, batch)
    medians = {each["runtime"].split()[0]: each["p50_seconds"] * 1e3 for each in found["runtimes"]}
    ours = medians.pop("strop")
    ratio = min(medians.values()) / ours
    goal = next((goal for word, goal in GOALS.items() if word in model.name), 1.0)
    cells = [f"{medians[name]:.2f}" if name in medians else "-" for name in ("onnxruntime", "openvino")]
    difference = max(each["max_abs_difference"] for each in found["runtimes"])
    print(f"| {model.stem} | {threads} | {batch} | {ours:.2f} | {' | '.join(cells)} | {ratio:.2f} | {goal} | "
          f"{'yes' if ratio >= goal else 'no'} | {found['candidate']} | {difference:.2g} |", flush=True)
    return found


def main(folder):
    print("# The engine beside its peers\n\nMedians in milliseconds, of runs that take turns; written by "
          "bench/peers/engine.py.\n")
    print("| model | threads | batch | Strop | ONNX Runtime | OpenVINO | times the faster | goal | reached | plan | "
          "largest difference |\n|---|---|---|---|---|---|---|---|---|---|---|")
    for model in sorted(folder.glob("*.onnx")):
        for threads in (1, 2):
            for batch in (1, 8):
                found = row(model, threads, batch)
    versions = ", ".join(each["runtime"] for each in found["runtimes"][1:])
    print(f"\nOn {found['cpu']} ({found['isa']}); {versions} for the last model.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
