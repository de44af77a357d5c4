"""Sessions, strop infer and strop bench on the demo's model and real images, beside ONNX Runtime."""

import concurrent.futures
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

import strop.engine
from strop.engine import Session

ISAS = ["scalar", "avx2", "avx512", "avx512vnni", "amx"]


@pytest.fixture(scope="session")
def images(fashion):
    column = pq.read_table(fashion["test"], columns=["image"])["image"].combine_chunks()
    return np.frombuffer(column.buffers()[1], np.uint8)[: 784 * len(column)].reshape(-1, 1, 28, 28)


@pytest.fixture(scope="session")
def demo(fashion, tmp_path_factory):
    """A copy of the demo's model, so that no plan of another run lies beside it."""
    source = fashion["model"]
    path = tmp_path_factory.mktemp("demo") / "model.onnx"
    path.write_bytes(source.read_bytes())
    return path


@pytest.fixture(scope="session")
def runtime(demo):
    return onnxruntime.InferenceSession(demo)


def verb(strop_bin, name, *arguments, **environment):
    command = [strop_bin / f"strop-{name}", *map(str, arguments)]
    env = {**os.environ, "STROP_PYTHON": sys.executable, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


@pytest.mark.parametrize("prefer", ["openvino", "strop", "reference"])
def test_every_candidate_agrees_with_onnxruntime_on_real_images(demo, runtime, images, prefer):
    session = Session(demo, threads=2, prefer=prefer)
    for batch in [1, 7, 256] if prefer != "reference" else [1, 7]:
        (want,) = runtime.run(None, {"image": images[:batch]})
        got = session.run({"image": images[:batch]})
        assert list(got) == ["logits"]
        assert got["logits"].dtype == np.float32
        np.testing.assert_allclose(got["logits"], want, rtol=1e-4, atol=1e-4)
        assert (got["logits"].argmax(1) == want.argmax(1)).all()


def test_inputs_outputs_and_plan_describe_the_model(demo, images):
    session = Session(demo, threads=1, prefer="strop", profile_layers=True)
    (image,) = session.inputs
    assert (image.name, image.shape[1:], image.dtype) == ("image", (1, 28, 28), "uint8")
    assert [output.name for output in session.outputs] == ["logits"]
    assert isinstance(image.shape[0], str)
    kernels = {layer["op"].split("+")[0]: layer["kernel"] for layer in session.plan()}
    assert kernels["Gemm"].startswith("gemm_f32")
    assert kernels["Conv"].startswith(("gemm_f32", "winograd_f32"))
    session.run({"image": images[:4]})
    assert any(layer["op"] == "Gemm+Relu" and layer["calls"] == 1 for layer in session.profile())


def test_a_profile_of_layers_looks_inside_openvino(demo, images):
    session = Session(demo, threads=1, prefer="openvino", profile_layers=True)
    session.run({"image": images[:4]})
    assert any(layer["op"] == "Convolution" and layer["seconds"] > 0 for layer in session.profile())


@pytest.mark.parametrize("prefer", ["openvino", "strop"])
def test_taps_answer_values_inside_the_model(demo, images, prefer):
    model = onnx.load(demo)
    relus = [node.output[0] for node in model.graph.node if node.op_type == "Relu"]
    penultimate = model.graph.node[-1].input[0]
    tapped = Session(demo, taps=[relus[0], penultimate], prefer=prefer, threads=2)
    assert [output.name for output in tapped.outputs] == ["logits", relus[0], penultimate]
    for name in (relus[0], penultimate):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    reference = onnxruntime.InferenceSession(model.SerializeToString())
    want = dict(zip(["logits", relus[0], penultimate], reference.run(None, {"image": images[:9]})))
    got = tapped.run({"image": images[:9]})
    for name, array in want.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-4)
    assert list(tapped.run({"image": images[:2]}, outputs=[penultimate])) == [penultimate]


@pytest.mark.parametrize("isa", ISAS)
def test_strop_isa_is_honoured_and_changes_no_answer(demo, runtime, images, isa):
    flags = open("/proc/cpuinfo").read().split("flags")[1].split("\n")[0].split()
    has = {"scalar": True, "avx2": "avx2" in flags, "avx512": "avx512vl" in flags, "avx512vnni": "avx512_vnni" in flags,
           "amx": "amx_int8" in flags}
    program = (
        "import sys, numpy as np, strop.engine as e\n"
        "s = e.Session(sys.argv[1], threads=1, prefer='strop')\n"
        "np.save(sys.argv[2], s.run({'image': np.load(sys.argv[3])})['logits'])\n"
        "print({l['kernel'] for l in s.plan() if l['kernel'].startswith('gemm')})"
    )
    inputs, outputs = demo.parent / f"in_{isa}.npy", demo.parent / f"out_{isa}.npy"
    np.save(inputs, images[:5])
    command = [sys.executable, "-c", program, str(demo), str(outputs), str(inputs)]
    result = subprocess.run(command, env={**os.environ, "STROP_ISA": isa}, capture_output=True, text=True)
    if not has[isa]:
        assert result.returncode != 0 and "STROP_ISA" in result.stderr
        return
    assert result.returncode == 0, result.stderr
    kernel = {"scalar": "gemm_f32_4x4_scalar", "avx2": "gemm_f32_6x16_avx2"}.get(isa, "gemm_f32_12x32_avx512")
    assert result.stdout.strip() == str({kernel})
    np.testing.assert_allclose(np.load(outputs), runtime.run(None, {"image": images[:5]})[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prefer", ["openvino", "strop"])
def test_concurrent_runs_do_not_mix(demo, runtime, images, prefer):
    session = Session(demo, threads=2, prefer=prefer)
    (want,) = runtime.run(None, {"image": images[:64]})

    def work(thread):
        for i in range(20):
            begin, count = (thread * 13 + i) % 40, 1 + (thread + i) % 5
            got = session.run({"image": images[begin : begin + count]})["logits"]
            np.testing.assert_allclose(got, want[begin : begin + count], rtol=1e-4, atol=1e-4)
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_torch_tensors_and_strided_arrays_are_taken(demo, images):
    torch = pytest.importorskip("torch")
    session = Session(demo, threads=1)
    want = session.run({"image": images[:6:2]})["logits"]  # strided: copied
    got = session.run({"image": torch.from_numpy(images[:6:2].copy())})["logits"]
    np.testing.assert_array_equal(got, want)


def test_outputs_keep_their_memory(demo, images):
    session = Session(demo, threads=1)
    first = session.run({"image": images[:1]})["logits"]
    copy = first.copy()
    for i in range(10):
        session.run({"image": images[i : i + 1]})
    del session
    np.testing.assert_array_equal(first, copy)


def test_bad_inputs_and_files_are_told_in_one_line(demo, images, tmp_path):
    session = Session(demo, threads=1)
    with pytest.raises(ValueError, match=r"input image is float32 \[1,1,28,28\]: wanted uint8 \[\?,1,28,28\]"):
        session.run({"image": images[:1].astype(np.float32)})
    with pytest.raises(ValueError, match="input image is missing"):
        session.run({})
    with pytest.raises(FileNotFoundError, match="gone.onnx"):
        Session(tmp_path / "gone.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(demo.read_bytes()[:5000])
    with pytest.raises(ValueError, match="broken.onnx"):
        Session(broken)
    with pytest.raises(ValueError, match="tap nothing"):
        Session(demo, taps=["nothing"])


def test_tuned_plan_is_followed_and_a_stale_one_ignored(demo, images, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(demo.read_bytes())
    plan = strop.engine.tune(model, threads=2, batch=8, seconds=0.3)
    file = tmp_path / "model.onnx.plan.json"
    assert json.loads(file.read_text()) == plan
    assert {each["kernel"] for each in plan["candidates"]} == {"openvino", "strop"}
    assert all(each["seconds"] > 0 for each in plan["candidates"])
    plan["candidate"] = "openvino"
    file.write_text(json.dumps(plan))
    tuned = Session(model, threads=2)
    assert [layer["kernel"] for layer in tuned.plan()] == ["openvino"]
    own = Session(model, threads=1).plan()  # timed for other threads
    assert len(own) > 1 and "openvino" not in {layer["kernel"] for layer in own}
    own = Session(model, threads=2, prefer="strop").plan()
    assert all(seconds > 0 for layer in own for seconds in layer["candidates"].values())
    np.testing.assert_allclose(
        tuned.run({"image": images[:8]})["logits"],
        Session(model, threads=1).run({"image": images[:8]})["logits"],
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.fixture(scope="session")
def quantized(demo, images, tmp_path_factory):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self):
            self.batches = iter([{"image": images[i : i + 16]} for i in range(0, 128, 16)])

        def get_next(self):
            return next(self.batches, None)

    path = tmp_path_factory.mktemp("qdq") / "int8.onnx"
    quantize_static(
        demo,
        path,
        Images(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        reduce_range=True,
    )
    return path


@pytest.mark.parametrize("prefer", ["openvino", "strop"])
def test_qdq_runs_in_integers_and_agrees_with_onnxruntime(quantized, images, prefer):
    session = Session(quantized, threads=2, prefer=prefer, profile_layers=True)
    got = session.run({"image": images[:256]})["logits"]
    (want,) = onnxruntime.InferenceSession(quantized).run(None, {"image": images[:256]})
    # Roundings on a border fall either way, a step or two of the last layer's scale.
    assert np.abs(got - want).max() < 0.05 * np.abs(want).max()
    assert (got.argmax(1) == want.argmax(1)).mean() > 0.98
    if prefer == "strop":
        convolutions = [layer["kernel"] for layer in session.plan() if "Conv+" in layer["op"]]
        assert convolutions and all(kernel.startswith("gemm_u8s8") for kernel in convolutions), convolutions
    else:
        convolutions = [layer["kernel"] for layer in session.profile() if layer["op"] == "Convolution"]
        assert convolutions and all(kernel.endswith(("_I8", "_i8", "_u8", "_U8")) for kernel in convolutions), convolutions


def test_infer_writes_outputs_beside_kept_columns_in_row_order(strop_bin, demo, runtime, fashion, images, tmp_path):
    output = tmp_path / "answers.parquet"
    result = verb(strop_bin, "infer", demo, "--data", fashion["test"], "-o", output, "--keep", "label", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["rows"] == 10000
    table = pq.read_table(output)
    assert table.column_names == ["label", "logits"]
    assert table["label"].equals(pq.read_table(fashion["test"], columns=["label"])["label"])
    logits = np.frombuffer(b"".join(table["logits"].to_pylist()), np.float32).reshape(10000, 10)
    (want,) = runtime.run(None, {"image": images[5000:5100]})
    np.testing.assert_allclose(logits[5000:5100], want, rtol=1e-4, atol=1e-4)


def test_infer_says_what_does_not_fit(strop_bin, demo, fashion, tmp_path):
    import pyarrow as pa

    def fails(data, *more):
        result = verb(strop_bin, "infer", demo, "--data", data, "-o", tmp_path / "x.parquet", *more)
        assert result.returncode == 1
        assert not (tmp_path / "x.parquet").exists()
        assert len(result.stderr.strip().splitlines()) == 1
        return result.stderr

    assert "nothing.parquet" in fails(tmp_path / "nothing.parquet")
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "other.parquet")
    assert "has no column image: the model's inputs are image, the columns are a" in fails(tmp_path / "other.parquet")
    pq.write_table(pa.table({"image": pa.array([[0.5] * 784], pa.list_(pa.float32(), 784))}), tmp_path / "float.parquet")
    assert "column image is float32, input image is uint8" in fails(tmp_path / "float.parquet")
    pq.write_table(pa.table({"image": pa.array([[1] * 10], pa.list_(pa.uint8(), 10))}), tmp_path / "small.parquet")
    assert "rows of shape [10]: input image wants [1,28,28]" in fails(tmp_path / "small.parquet")
    assert "nocolumn" in fails(fashion["test"], "--keep", "nocolumn")


def test_bench_measures_beside_peers_and_saves_the_plan(strop_bin, demo, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(demo.read_bytes())
    result = verb(strop_bin, "bench", model, "--batch", 2, "--seconds", 0.4, "--threads", 1, "--json",
                  "--against", "onnxruntime,openvino")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert [each["runtime"].split()[0] for each in report["runtimes"]] == ["strop", "onnxruntime", "openvino"]
    assert len(report["cpus"]) == 1
    for each in report["runtimes"]:
        assert 0 < each["p50_seconds"] <= each["p99_seconds"]
        assert each["rows_per_second"] > 0
        assert each["max_abs_difference"] < 1e-3
    assert len(report["timed"]) >= 2
    kernels = {layer["layer"]: layer["kernel"] for layer in report["timed"]}
    assert any(kernel.startswith("gem") for kernel in kernels.values())
    roof = report["roofline"]
    assert roof["peak_gflops"] > 0 and roof["peak_int8_gops"] > 0 and roof["bandwidth_gbs"] > 0
    # conv1 32·26²·9, conv2 …: the model's operations, counted from its shapes by ONNX's own inference.
    assert roof["gflop"] == pytest.approx(flops_of(model, 2) * 1e-9)
    assert abs(sum(layer["share"] for layer in report["layers"]) - 1) < 1e-6
    assert_roofs(report, bits=32)
    assert (tmp_path / "model.onnx.plan.json").exists()
    text = verb(strop_bin, "bench", model, "--seconds", 0.2, "--threads", 1)
    assert "roofline:" in text.stdout and "GOP/s of int8" in text.stdout and "gemv_f32" in text.stdout


def test_bench_measures_layers_of_8_bits_by_the_peak_of_integers(strop_bin, quantized, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(quantized.read_bytes())
    result = verb(strop_bin, "bench", model, "--seconds", 0.2, "--threads", 1, "--json")
    assert result.returncode == 0, result.stderr
    assert_roofs(json.loads(result.stdout), bits=8)


def assert_roofs(report, bits):
    """Each counted layer stands below min(the peak of its bits, FLOP/byte · bandwidth)."""
    roof = report["roofline"]
    counted = [layer for layer in report["layers"] if "bound" in layer]
    assert any(layer["bits"] == bits and layer["gflops"] > 0 for layer in counted)
    for layer in counted:
        peak = roof["peak_int8_gops" if layer["bits"] == 8 else "peak_gflops"]
        below = max(layer["gflops"] / peak, layer["gbs"] / roof["bandwidth_gbs"])
        assert layer["share_of_bound"] == pytest.approx(below)
        assert layer["bound_seconds"] == pytest.approx(below * layer["seconds"])
        assert layer["bound"] == ("compute" if layer["gflops"] / peak > layer["gbs"] / roof["bandwidth_gbs"] else "memory")
    assert roof["bound_seconds"] == pytest.approx(sum(layer["bound_seconds"] for layer in counted))
    assert roof["bits"] == bits


def flops_of(path, batch):
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    model = onnx.shape_inference.infer_shapes(model)
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]
    }
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Relu", "MaxPool", "Div", "Mul", "Sub", "Add"):
            window = next((each.ints for each in node.attribute if each.name == "kernel_shape"), [1])
            total += int(np.prod(shapes[node.output[0]])) * int(np.prod(window))
        if node.op_type in ("Conv", "Gemm"):
            columns = int(np.prod(weights[node.input[1]][1:]))  # Gemm of torch: transB
            rows = batch if node.op_type == "Gemm" else int(np.prod(shapes[node.output[0]])) // weights[node.input[1]][0]
            total += 2 * rows * weights[node.input[1]][0] * columns
    return total


def test_bench_says_when_a_peer_is_not_installed(strop_bin, demo, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S \"$@\"\n")
    bare.chmod(0o755)
    result = verb(strop_bin, "bench", demo, "--seconds", 0.2, "--keep-plan", "--against", "onnxruntime",
                  STROP_PYTHON=str(bare))
    assert result.returncode == 1
    assert "is not installed" in result.stderr and "STROP_PYTHON" in result.stderr
    assert verb(strop_bin, "bench", demo, "--against", "tensorrt").returncode == 2


def test_importing_the_engine_loads_no_numpy():
    program = "import sys, strop.engine; print('numpy' in sys.modules, 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.strip() == "False False", result.stderr
