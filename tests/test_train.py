"""strop train: an ONNX model in, the same model with trained weights out."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper


def write_rows(path, source, rows):
    table = pq.read_table(source)
    pq.write_table(table.take(pa.array(rows)), path)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory, fashion):
    """1,500 rows of Fashion-MNIST to train on, 500 others to judge on, and a small untrained network."""
    folder = tmp_path_factory.mktemp("train")
    write_rows(folder / "rows.parquet", fashion["train"], np.arange(1500))
    write_rows(folder / "held.parquet", fashion["train"], np.arange(2000, 2500))
    rng = np.random.default_rng(0)

    def weight(name, *shape):
        values = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    def bias(name, size):
        return numpy_helper.from_array(np.zeros(size, np.float32), name)

    nodes = [
        helper.make_node("Cast", ["image"], ["f"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "c255"], ["x"], "scale"),
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "conv", kernel_shape=[5, 5], strides=[2, 2], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu"),
        helper.make_node("MaxPool", ["r1"], ["p1"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p1"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w2", "b2"], ["logits"], "fc", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [
            numpy_helper.from_array(np.array(255, np.float32), "c255"),
            weight("w1", 8, 1, 5, 5), bias("b1", 8), weight("w2", 10, 392), bias("b2", 10),
        ],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"author": "someone"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    return folder


def train(strop_bin, digits, output, *arguments, data="rows.parquet", label="label", env=None, **options):
    command = [strop_bin / "strop-train", digits / "model.onnx", "--data", digits / data, "--label", label, "-o", output,
               "--threads", "2", *arguments]  # fmt: skip
    env = {**os.environ, **(env or {})}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, env=env, **options)


def accuracy(model, rows):
    table = pq.read_table(rows)
    image = np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8).reshape(-1, 1, 28, 28)
    answers = onnxruntime.InferenceSession(model).run(None, {"image": image})[0]
    return float((answers.argmax(1) == table["label"].to_numpy()).mean())


def test_training_raises_the_accuracy_that_onnxruntime_measures(strop_bin, digits, tmp_path):
    out = tmp_path / "out.onnx"
    done = train(strop_bin, digits, out, "--validation", digits / "held.parquet", "--epochs", 4, "--learning-rate", 0.005, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["model"] == str(out) and result["epochs"] == 4 and result["rows"] == 1500
    assert result["validation"]["metric"] == "accuracy"
    assert result["validation"]["before"] == pytest.approx(accuracy(digits / "model.onnx", digits / "held.parquet"), abs=0.0021)
    assert result["validation"]["after"] == pytest.approx(accuracy(out, digits / "held.parquet"), abs=0.0021)
    assert result["validation"]["before"] < 0.4 and result["validation"]["after"] > 0.72
    assert 0 < result["train_loss"] < 1.2 and result["seconds"] > 0


def test_only_the_weights_change(strop_bin, digits, tmp_path):
    out = tmp_path / "out.onnx"
    assert train(strop_bin, digits, out, "--epochs", 1).returncode == 0
    before, after = onnx.load(digits / "model.onnx"), onnx.load(out)
    onnx.checker.check_model(after, full_check=True)
    assert [(n.op_type, n.name, list(n.input), list(n.output)) for n in before.graph.node] == [
        (n.op_type, n.name, list(n.input), list(n.output)) for n in after.graph.node
    ]
    assert before.graph.input == after.graph.input and before.graph.output == after.graph.output
    assert {p.key: p.value for p in after.metadata_props} == {"author": "someone"}
    weights = {i.name: numpy_helper.to_array(i) for i in after.graph.initializer}
    for initializer in before.graph.initializer:
        same = np.array_equal(numpy_helper.to_array(initializer), weights[initializer.name])
        assert same == (initializer.name == "c255"), initializer.name


def test_the_seed_makes_it_reproducible(strop_bin, digits, tmp_path):
    files = [tmp_path / f"{i}.onnx" for i in range(3)]
    for file, seed in zip(files, (7, 7, 8), strict=True):
        assert train(strop_bin, digits, file, "--seed", seed).returncode == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--learning-rate", "-1"], ["learning rate = -1", "more than 0"]),
        (["--metric", "acuracy"], ["acuracy", "accuracy"]),
    ],
)
def test_wrong_arguments_are_one_line_that_names_them(strop_bin, digits, tmp_path, arguments, words):
    out = tmp_path / "out.onnx"
    done = train(strop_bin, digits, out, "--validation", digits / "held.parquet", *arguments)
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not out.exists()


def test_a_label_column_that_is_missing_is_named(strop_bin, digits, tmp_path):
    done = train(strop_bin, digits, tmp_path / "out.onnx", label="lable")
    assert done.returncode == 1
    assert "no column 'lable'" in done.stderr and "image, label" in done.stderr


def test_validation_rows_must_not_be_training_rows(strop_bin, digits, tmp_path):
    done = train(strop_bin, digits, tmp_path / "out.onnx", "--validation", digits / "rows.parquet")
    assert done.returncode == 1
    assert "validation rows must not be training rows" in done.stderr


def test_a_label_outside_the_classes_is_named(strop_bin, digits, tmp_path):
    table = pq.read_table(digits / "held.parquet")
    labels = table["label"].to_numpy().copy()
    labels[3] = 12
    pq.write_table(table.set_column(1, table.schema.field("label"), pa.array(labels)), tmp_path / "bad.parquet")
    done = train(strop_bin, digits, tmp_path / "out.onnx", data=tmp_path / "bad.parquet")
    assert done.returncode == 1
    assert "label 12 is outside 0 to 9" in done.stderr


def test_a_file_that_is_not_a_model_is_named(strop_bin, digits, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model at all")
    shutil.copy(digits / "rows.parquet", tmp_path)
    done = train(strop_bin, tmp_path, tmp_path / "out.onnx")
    assert done.returncode == 1
    assert "model.onnx is not a valid ONNX model" in done.stderr


def test_a_missing_torch_is_one_clear_line(strop_bin, digits, tmp_path):
    # The loader finds this before the environment's torch.
    (tmp_path / "libtorch_cpu.so").write_bytes(b"\x7fELF broken")
    done = train(strop_bin, digits, tmp_path / "out.onnx", env={"LD_LIBRARY_PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "needs torch 2." in done.stderr and "pip install 'strop[train]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_torch_of_another_version_is_refused(strop_bin, digits, tmp_path):
    import importlib.util

    torch = os.path.dirname(importlib.util.find_spec("torch").origin)
    (tmp_path / "lib").mkdir()
    for name in os.listdir(f"{torch}/lib"):
        os.symlink(f"{torch}/lib/{name}", tmp_path / "lib" / name)
    (tmp_path / "version.py").write_text("__version__ = '2.1.0+cpu'\n")
    done = train(strop_bin, digits, tmp_path / "out.onnx", env={"LD_LIBRARY_PATH": str(tmp_path / "lib")})
    assert done.returncode == 1
    assert "found torch 2.1.0+cpu" in done.stderr and "pip install 'torch==" in done.stderr


def endless(strop_bin, digits, out):
    """A training that is at its first step or later, and would take hours."""
    out.parent.mkdir(exist_ok=True)
    command = [strop_bin / "strop-train", digits / "model.onnx", "--data", digits / "rows.parquet", "--label", "label",
               "-o", out, "--epochs", 100000, "--constant-rate"]  # fmt: skip
    running = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "STROP_PROGRESS": "json"})
    assert json.loads(running.stderr.readline())["progress"] == "training"
    return running


def test_interrupting_keeps_the_epochs_that_were_finished(strop_bin, digits, tmp_path):
    out = tmp_path / "out" / "out.onnx"
    running = endless(strop_bin, digits, out)
    while int(json.loads(running.stderr.readline())["note"].split()[1].split("/")[0]) < 5:
        pass
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "stopped before the last epoch" in said
    assert accuracy(out, digits / "held.parquet") > accuracy(digits / "model.onnx", digits / "held.parquet") + 0.1
    assert [file.name for file in out.parent.iterdir()] == ["out.onnx"]


def test_killed_it_leaves_no_partial_output(strop_bin, digits, tmp_path):
    running = endless(strop_bin, digits, tmp_path / "out" / "out.onnx")
    time.sleep(0.1)
    running.kill()
    running.communicate(timeout=30)
    assert list((tmp_path / "out").iterdir()) == []


STUDY = """
[data]
train = "{digits}/rows.parquet"
label = "label"
[train]
command = ["{bin}/strop-train", "{digits}/model.onnx", "--label", "label", "--threads", "1"]
budget = 3.0

[tune]
study = "finetune"
trials = 3
budget = 2.0
metric = "{metric}"
direction = "{direction}"
sampler = "random"
seed = 3

[tune.space.learning_rate]
type = "float"
low = 1e-3
high = 1e-1
log = true

[tune.space.{second}]
type = "choice"
values = [64, 128]
"""


def study(strop_bin, digits, folder, metric="accuracy", direction="maximize", second="batch"):
    (folder / "strop.toml").write_text(STUDY.format(digits=digits, bin=strop_bin, metric=metric, direction=direction,
                                                    second=second))
    return lambda *arguments: subprocess.run([str(strop_bin / "strop"), "tune", "strop.toml", "--json", *arguments],
                                             cwd=folder, capture_output=True, text=True, timeout=120)


def test_it_is_a_trainer_of_strop_tune(strop_bin, digits, tmp_path):
    tune = study(strop_bin, digits, tmp_path)
    done = tune()
    assert done.returncode == 0, done.stderr
    best = json.loads(done.stdout)
    assert best["best"]["value"] > 0.3
    final = tune("--final", "-o", str(tmp_path / "final.onnx"))
    assert final.returncode == 0, final.stderr
    assert accuracy(tmp_path / "final.onnx", digits / "held.parquet") > 0.3


def test_a_parameter_that_is_no_option_is_named(strop_bin, digits, tmp_path):
    done = study(strop_bin, digits, tmp_path, second="breadth")()
    assert done.returncode == 1
    assert "breadth is no option of strop train" in done.stderr
