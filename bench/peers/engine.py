"""`strop bench` of the models of bench/models beside ONNX Runtime and OpenVINO, at 1 and 2 threads and batches of 1 and 8,
in one run on one machine, and what each takes to load: docs/engine_peers.md.

    python bench/models/make.py build/models
    STROP_BUILD=build/dev python bench/peers/engine.py build/models > docs/engine_peers.md

A line a measurement: the median latency of each runtime and how many times Strop is as fast as the faster of the two. Then
a line a model: seconds to load it and to answer once, and the memory that is resident then beyond what the imported runtime
alone has, each in a process of its own, one thread, batch 1, Strop with a saved plan.
"""

import json
import os
import statistics
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


# Loads argv[2] by the runtime of argv[1], answers once, and prints seconds and bytes.
LOADER = """
import sys, time
import numpy as np
runtime, model = sys.argv[1:3]
if runtime == "strop":
    import strop.engine
elif runtime == "onnxruntime":
    import onnxruntime
else:
    import openvino
import onnx
inputs = {}
for value in onnx.load(model, load_external_data=False).graph.input:
    shape = [size.dim_value or 1 for size in value.type.tensor_type.shape.dim]
    inputs[value.name] = np.ones(shape, onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024
before, begin = resident(), time.perf_counter()
if runtime == "strop":
    session = strop.engine.Session(model, threads=1)
    loaded = time.perf_counter()
    session.run(inputs)
elif runtime == "onnxruntime":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    loaded = time.perf_counter()
    session.run(None, inputs)
else:
    core = openvino.Core()
    session = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY",
                                                "INFERENCE_PRECISION_HINT": "f32"})
    loaded = time.perf_counter()
    session(inputs)
print(loaded - begin, resident() - before)
"""


def load(model, runtime):
    """Medians of five of seconds and MiB."""
    runs = []
    for _ in range(5):
        environment = os.environ | {"PYTHONPATH": os.environ["STROP_BUILD"]}
        done = subprocess.run([sys.executable, "-c", LOADER, runtime, model], capture_output=True, text=True,
                              timeout=120, env=environment)
        if done.returncode:
            return None
        seconds, size = map(float, done.stdout.split())
        runs.append((seconds, size / 2**20))
    return tuple(statistics.median(values) for values in zip(*runs))


def loads(folder):
    print("\n| model | load s: Strop | ONNX Runtime | OpenVINO | resident MiB: Strop | ONNX Runtime | OpenVINO |\n"
          "|---|---|---|---|---|---|---|")
    for model in sorted(folder.glob("*.onnx")):
        plan = Path(f"{model}.plan.json")
        subprocess.run([Path(os.environ["STROP_BUILD"]) / "strop/bin/strop-bench", model, "--threads", "1", "--seconds",
                        "2", "--quiet"], check=True, capture_output=True, timeout=600)
        found = [load(model, runtime) for runtime in ("strop", "onnxruntime", "openvino")]
        plan.unlink()
        cells = [f"{each[0]:.2f}" if each else "-" for each in found]
        cells += [f"{each[1]:.0f}" if each else "-" for each in found]
        print(f"| {model.stem} | {' | '.join(cells)} |", flush=True)


def main(folder):
    print("# The engine beside its peers\n\nMedians in milliseconds, of runs that take turns on the same CPUs; written by "
          "bench/peers/engine.py.\n")
    print("| model | threads | batch | Strop | ONNX Runtime | OpenVINO | times the faster | goal | reached | plan | "
          "largest difference |\n|---|---|---|---|---|---|---|---|---|---|---|")
    for model in sorted(folder.glob("*.onnx")):
        for threads in (1, 2):
            for batch in (1, 8):
                found = row(model, threads, batch)
    loads(folder)
    versions = ", ".join(each["runtime"] for each in found["runtimes"][1:])
    print(f"\nOn {found['cpu']} ({found['isa']}); {versions} for the last model.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
