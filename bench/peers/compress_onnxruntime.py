"""INT8 beside ONNX Runtime: the same f32 model, the same calibration rows, every runtime in turns.

    python bench/peers/compress_onnxruntime.py [--model M.onnx] [--calibration C.parquet] [--test T.parquet] [--threads 2]

Prints one JSON object: accuracy, bytes and the median milliseconds of a run at batch 1 and 64 for ONNX Runtime's f32
and INT8 (quantize_static after quant_pre_process: QDQ, per channel, uint8 activations, int8 weights, MinMax, and
reduced range where the processor lacks VNNI, as its documentation advises), for our f32 and INT8 in strop.engine, and
for our INT8 in ONNX Runtime. Run it with the build's package in PYTHONPATH.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from tqdm import tqdm

import strop.engine
from strop.compress import compress

FASHION = Path(__file__).resolve().parents[2] / "build" / "data" / "fashion"
CALIBRATION_ROWS = 1000


class Rows(CalibrationDataReader):
    def __init__(self, name, images):
        self.batches = iter([{name: images[i : i + 100]} for i in range(0, len(images), 100)])

    def get_next(self):
        return next(self.batches, None)


def read(path, rows=None):
    table = pq.read_table(path).slice(0, rows)
    images = np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8).reshape(-1, 1, 28, 28)
    return images, table["label"].to_numpy()


def has_vnni():
    flags = Path("/proc/cpuinfo").read_text()
    return "avx512_vnni" in flags or "avx_vnni" in flags


def cpu_model():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))


def onnxruntime_session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def median_times(runners, images, seconds):
    """Median milliseconds of each runner; they take turns, in an order that rotates."""
    names, times = list(runners), {name: [] for name in runners}
    for name in names:
        for _ in range(5):
            runners[name](images)
    end, turn = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            runners[name](images)
            times[name].append((time.perf_counter() - start) * 1e3)
        turn += 1
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=FASHION / "model.onnx")
    parser.add_argument("--int8", type=Path, help="our INT8 of it; without: compressed here")
    parser.add_argument("--calibration", type=Path, default=FASHION / "train.parquet")
    parser.add_argument("--test", type=Path, default=FASHION / "test.parquet")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-drop", type=float, default=0.01)
    parser.add_argument("--seconds", type=float, default=8, help="of measuring, a batch size")
    arguments = parser.parse_args()

    images, labels = read(arguments.test)
    calibration = pq.read_table(arguments.calibration).slice(0, CALIBRATION_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pq.write_table(calibration, folder / "calibration.parquet")
        int8 = arguments.int8 or folder / "strop.onnx"
        if arguments.int8 is None:
            compress(arguments.model, int8, data=folder / "calibration.parquet", eval=arguments.test,
                     max_drop=arguments.max_drop, threads=arguments.threads)  # fmt: skip
        quant_pre_process(str(arguments.model), str(folder / "prepared.onnx"))
        quantize_static(
            str(folder / "prepared.onnx"), str(folder / "onnxruntime.onnx"), Rows("image", read(folder / "calibration.parquet")[0]),
            quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=not has_vnni(),
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        files = {
            "onnxruntime f32": arguments.model,
            "onnxruntime int8": folder / "onnxruntime.onnx",
            "strop f32": arguments.model,
            "strop int8": int8,
            "strop int8 in onnxruntime": int8,
        }
        runners = {}
        for name, file in files.items():
            if name in ("strop f32", "strop int8"):
                session = strop.engine.Session(str(file), threads=arguments.threads)
                runners[name] = lambda x, session=session: np.asarray(session.run({"image": x})["logits"])
            else:
                session = onnxruntime_session(file, arguments.threads)
                runners[name] = lambda x, session=session: session.run(["logits"], {"image": x})[0]
        rows = {}
        for name, run in tqdm(runners.items(), desc="answers of each model", disable=None):
            answers = np.concatenate([run(images[i : i + 500]) for i in range(0, len(images), 500)])
            rows[name] = {"accuracy": float((answers.argmax(1) == labels).mean()), "bytes": files[name].stat().st_size}
        for batch in tqdm((1, 64), desc="latency at each batch size", disable=None):
            for name, value in median_times(runners, images[:batch], arguments.seconds).items():
                rows[name][f"ms_batch_{batch}"] = round(value, 4)
    print(json.dumps({
        "rows": rows, "calibration_rows": CALIBRATION_ROWS, "test_rows": len(labels), "threads": arguments.threads,
        "cpu": cpu_model(), "vnni": has_vnni(), "onnxruntime": onnxruntime.__version__,
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
