"""Runs a model on another runtime for `strop bench --against`, taking turns with it.

Speaks JSON lines over the Unix socket given as the only argument. The first line it reads says what to load:
{"runtime", "model", "threads", "inputs": [[{"name", "dtype", "shape", "file"}]]}. It answers {"ready", "version",
"load_seconds"} or {"error"}; then {"run": n}, on one of the inputs after the other, by {"seconds": [...]}, and
{"answer": folder}, to the first, by
{"outputs": [{"name", "dtype", "shape", "file"}]}.
"""

import itertools
import json
import os
import socket
import sys
import time


def load_onnxruntime(model, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return onnxruntime.__version__, lambda inputs: dict(zip(names, session.run(names, inputs)))


def load_openvino(model, threads):
    import openvino

    # As `strop` declares it: float32 stays float32, also where the processor has bfloat16.
    compiled = openvino.Core().compile_model(
        model,
        "CPU",
        {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"},
    )
    request = compiled.create_infer_request()

    def run(inputs):
        answers = request.infer(inputs)
        # An output that is a copy of another value has the names of both.
        return {name: answers[output] for output in compiled.outputs for name in output.get_names()}

    return openvino.__version__.split("-")[0], run


RUNTIMES = {"onnxruntime": load_onnxruntime, "openvino": load_openvino}


def main(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    lines = connection.makefile("rw")

    def say(message):
        lines.write(json.dumps(message) + "\n")
        lines.flush()

    task = json.loads(lines.readline())
    try:
        import numpy

        inputs = [
            {item["name"]: numpy.fromfile(item["file"], dtype=item["dtype"]).reshape(item["shape"]) for item in each}
            for each in task["inputs"]
        ]
        turn = itertools.cycle(inputs)
        begin = time.perf_counter()
        version, run = RUNTIMES[task["runtime"]](task["model"], task["threads"])
        say({"ready": True, "version": version, "load_seconds": time.perf_counter() - begin})
        for line in iter(lines.readline, ""):
            message = json.loads(line)
            if "run" in message:
                seconds = []
                for _ in range(message["run"]):
                    each = next(turn)
                    begin = time.perf_counter()
                    run(each)
                    seconds.append(time.perf_counter() - begin)
                say({"seconds": seconds})
            else:
                outputs = []
                for number, (name, array) in enumerate(run(inputs[0]).items()):
                    file = os.path.join(message["answer"], f"output{number}")
                    numpy.ascontiguousarray(array).tofile(file)
                    outputs.append({"name": name, "dtype": str(array.dtype), "shape": list(array.shape), "file": file})
                say({"outputs": outputs})
    except ModuleNotFoundError as error:
        say({"error": f"{error.name} is not installed in {sys.executable}: pip install {error.name}, "
                      "or name another Python in STROP_PYTHON"})
    except Exception as error:  # the other side prints it as one line
        say({"error": " ".join(str(error).split())[:400]})


if __name__ == "__main__":
    main(sys.argv[1])
