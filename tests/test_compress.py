"""strop compress: static INT8 within a limit on quality, as standard QDQ ONNX."""

import json
import signal
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def world(tmp_path_factory, fashion):
    """The demo's f32 model, 1,000 rows to calibrate on and the test images to judge on."""
    folder = tmp_path_factory.mktemp("compress")
    pq.write_table(pq.read_table(fashion["train"]).slice(0, 1000), folder / "calibration.parquet")
    return {"folder": folder, "model": fashion["model"], "calibration": folder / "calibration.parquet", "test": fashion["test"]}


def compress(strop_bin, world, output, *arguments, data=None, evaluation=None, **options):
    command = [strop_bin / "strop-compress", world["model"], "-o", output, "--data", data or world["calibration"], "--label",
               "label", *arguments]  # fmt: skip
    if evaluation is not False:
        command += ["--eval", evaluation or world["test"]]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=200, **options)


@pytest.fixture(scope="module")
def compressed(strop_bin, world):
    out, report = world["folder"] / "int8.onnx", world["folder"] / "report.html"
    done = compress(strop_bin, world, out, "--max-drop", 0.01, "--json", "--report", report)
    assert done.returncode == 0, done.stderr
    return {"file": out, "report": report, "result": json.loads(done.stdout)}


@pytest.fixture(scope="module")
def images(world):
    table = pq.read_table(world["test"])
    return np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8).reshape(-1, 1, 28, 28), table["label"].to_numpy()


def run(model, image):
    return onnxruntime.InferenceSession(model).run(["logits"], {"image": image})[0]


def test_the_result_is_what_onnxruntime_measures(world, compressed, images):
    image, label = images
    result = compressed["result"]
    before = (run(world["model"], image).argmax(1) == label).mean()
    after = (run(compressed["file"], image).argmax(1) == label).mean()
    assert result["metric"] == "accuracy" and result["evaluation_rows"] == 10000 and result["calibration_rows"] == 1000
    assert result["baseline"]["value"] == pytest.approx(before, abs=0.002)
    assert result["quality"] == pytest.approx(after, abs=0.002)
    assert result["drop"] == pytest.approx(result["baseline"]["value"] - result["quality"], abs=1e-9)
    low, high = result["interval"]
    assert -0.01 <= low <= -result["drop"] <= high
    assert before - after <= 0.01


def test_every_layer_is_int8_and_the_file_is_smaller(world, compressed):
    result = compressed["result"]
    assert [layer["op"] for layer in result["layers"]] == ["Conv", "Conv", "Gemm", "Gemm"]
    assert all(layer["bits"] == 8 and 0 < layer["sensitivity"] < 0.1 for layer in result["layers"])
    assert result["bytes_before"] == world["model"].stat().st_size
    assert result["bytes_after"] == compressed["file"].stat().st_size
    assert result["bytes_before"] / result["bytes_after"] > 3.5
    assert result["latency_before"] > 0 and result["latency_after"] > 0
    assert result["speedup"] == pytest.approx(result["latency_before"] / result["latency_after"])


def test_the_model_is_standard_qdq(compressed):
    model = onnx.load(compressed["file"])
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 20}
    weights = {i.name: i for i in model.graph.initializer}
    kinds = [weights[n.input[0]].data_type for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in weights]
    assert sorted(kinds) == sorted([onnx.TensorProto.INT8] * 4 + [onnx.TensorProto.INT32] * 4)
    names = {p.key: p.value for p in model.metadata_props}
    assert names["strop.penultimate"] in {output for node in model.graph.node for output in node.output}


def test_no_pair_of_products_can_saturate_without_vnni(compressed):
    model = onnx.load(compressed["file"])
    for initializer in model.graph.initializer:
        if initializer.data_type == onnx.TensorProto.INT8 and len(initializer.dims) > 1:
            most = int(np.abs(onnx.numpy_helper.to_array(initializer).astype(int)).max())
            assert 2 * 255 * most <= 32767, initializer.name


def test_onnxruntime_runs_it_in_integers(compressed, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(compressed["file"], options, providers=["CPUExecutionProvider"])
    ops = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert ops.count("QLinearConv") == 2 and ops.count("QGemm") == 2, ops
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm", "DequantizeLinear", "QuantizeLinear"} & set(ops), ops


def test_onnxruntime_and_our_session_agree(compressed, images):
    import strop.engine as engine

    image = images[0][:2000]
    ours = np.asarray(engine.Session(str(compressed["file"])).run({"image": image})["logits"])
    theirs = run(compressed["file"], image)
    assert (ours.argmax(1) == theirs.argmax(1)).mean() >= 0.995
    # A step of the last activation apart, at most, on a few values.
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()


def test_the_report_stands_alone(compressed):
    html = compressed["report"].read_text()
    assert "/conv1/Conv" in html and "95% interval" in html
    assert "http://" not in html and "https://" not in html and "<script" not in html


def test_a_tight_limit_reverts_layers_or_says_what_was_reached(strop_bin, world, compressed, images, tmp_path):
    # 3,400 rows, each that INT8 gets wrong and f32 right among them five times: all layers in INT8 cannot meet the limit.
    image, label = images
    before = run(world["model"], image).argmax(1) == label
    after = run(compressed["file"], image).argmax(1) == label
    lost, kept = np.flatnonzero(before & ~after), np.flatnonzero(before & after)
    assert len(lost) > 0
    lost = np.repeat(lost, 5)
    hard = tmp_path / "hard.parquet"
    pq.write_table(pq.read_table(world["test"]).take(np.sort(np.concatenate([lost, kept[: 3400 - len(lost)]]))), hard)
    limit = 0.00115
    out = tmp_path / "out" / "out.onnx"
    out.parent.mkdir()
    done = compress(strop_bin, world, out, "--max-drop", limit, "--json", evaluation=hard)
    if done.returncode == 0:
        result = json.loads(done.stdout)
        assert result["interval"][0] >= -limit
        floats = [layer for layer in result["layers"] if layer["bits"] == 32]
        assert floats and len(result["attempts"]) == len(floats) + 1
        assert max(layer["sensitivity"] for layer in result["layers"]) == max(layer["sensitivity"] for layer in floats)
        onnx.checker.check_model(onnx.load(out), full_check=True)
    else:
        assert done.returncode == 1
        assert "layers in INT8 gave accuracy" in done.stderr
        assert list(out.parent.iterdir()) == []


def test_too_few_rows_says_how_many_are_needed(strop_bin, world, tmp_path):
    few = tmp_path / "few.parquet"
    pq.write_table(pq.read_table(world["test"]).slice(0, 100), few)
    out = tmp_path / "out.onnx"
    done = compress(strop_bin, world, out, "--max-drop", 0.01, evaluation=few)
    assert done.returncode == 1
    assert "the evaluation has 100 rows: at least 381 are needed" in done.stderr
    assert not out.exists()


def test_rows_that_calibrate_must_not_judge(strop_bin, world, tmp_path):
    done = compress(strop_bin, world, tmp_path / "out.onnx", evaluation=world["calibration"])
    assert done.returncode == 1
    assert "rows that calibrate must not judge" in done.stderr and "leave --eval out" in done.stderr


def test_without_eval_the_rows_are_split_by_seed_and_recorded(strop_bin, world, tmp_path):
    out = tmp_path / "out.onnx"
    done = compress(strop_bin, world, out, "--seed", 3, "--max-drop", 0.02, "--json", data=world["test"], evaluation=False)
    assert done.returncode == 0, done.stderr
    split = json.loads(done.stdout)["split"]
    assert split == {"seed": 3, "calibration": 2000, "evaluation": 8000}
    assert json.loads({p.key: p.value for p in onnx.load(out).metadata_props}["strop.split"]) == split


@pytest.mark.parametrize("flag", [["--sparsity", "0.8"], ["--block", "4x1"], ["--clusters", "16"], ["--teacher", "t.onnx"], ["--bits", "4"]])
def test_what_is_not_yet_built_is_refused(strop_bin, world, tmp_path, flag):
    out = tmp_path / "out.onnx"
    done = compress(strop_bin, world, out, *flag)
    assert done.returncode == 1
    assert flag[0] in done.stderr and "is not yet built" in done.stderr
    assert not out.exists()


def test_a_parquet_file_cut_short_is_named(strop_bin, world, tmp_path):
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(world["calibration"].read_bytes()[:5000])
    done = compress(strop_bin, world, tmp_path / "out.onnx", data=cut)
    assert done.returncode == 1
    assert "cut.parquet" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_kill_in_the_middle_leaves_no_partial_output(strop_bin, world, tmp_path):
    out = tmp_path / "out" / "out.onnx"
    out.parent.mkdir()
    command = [strop_bin / "strop-compress", world["model"], "-o", out, "--data", world["calibration"], "--eval",
               world["test"], "--label", "label"]  # fmt: skip
    running = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert running.stderr.readline()  # the first progress line: it is at work
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=30)
    assert list(out.parent.iterdir()) == []


def test_python_runs_the_same_program(world, tmp_path):
    code = (
        "import sys, strop.compress as c\n"
        f"r = c.compress({str(world['model'])!r}, {str(tmp_path / 'o.onnx')!r}, data={str(world['calibration'])!r},"
        f" eval={str(world['test'])!r}, max_drop=0.01)\n"
        f"r.save_report({str(tmp_path / 'r.html')!r})\n"
        "assert 'torch' not in sys.modules and 'pyarrow' not in sys.modules and 'numpy' not in sys.modules\n"
        "assert r.interval[0] >= -0.01 and abs(r.baseline - r.quality) < 0.01 and r.speedup > 0\n"
        "assert len(r.layers) == 4 and r.pareto[-1]['int8_layers'] == 4\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "o.onnx").is_file()


def test_python_says_what_is_not_yet_built(world, tmp_path):
    import strop
    from strop.compress import compress as run_compress

    with pytest.raises(strop.Unsupported, match="callable metric"):
        run_compress(world["model"], tmp_path / "o.onnx", data=world["calibration"], metric=lambda outputs, batch: 0.0)
    with pytest.raises(strop.Error, match="--sparsity is not yet built"):
        run_compress(world["model"], tmp_path / "o.onnx", data=world["calibration"], sparsity=0.8)


def test_a_label_column_that_is_missing_is_named(strop_bin, world, tmp_path):
    table = pq.read_table(world["calibration"])
    pq.write_table(table.rename_columns(["image", "class"]), tmp_path / "other.parquet")
    done = compress(strop_bin, world, tmp_path / "out.onnx", data=tmp_path / "other.parquet")
    assert done.returncode == 1
    assert "label" in done.stderr and "class" in done.stderr
