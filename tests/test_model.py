"""The model room against onnx, onnxruntime and ONNX's own node tests, through build/<preset>'s strop_model_eval."""

import importlib
import pkgutil
import re
import subprocess

import numpy as np
import onnx
import onnx.backend.test.case.node as node_cases
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

OPSETS = [7, 11, 13, 17, 20, 21]


@pytest.fixture(scope="module")
def model_eval(strop_bin):
    tool = strop_bin.parent.parent / "src/strop/model/strop_model_eval"

    def run(*lines):
        """Answers of the tool, one a line; a crash fails the test."""
        done = subprocess.run([tool], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"strop_model_eval ended with {done.returncode}: {done.stderr[-2000:]}"
        answers = done.stdout.splitlines()
        assert len(answers) == len(lines)
        return answers

    return run


def save_tensors(path, arrays):
    """Arrays as the initializers of a model: how strop_model_eval takes its inputs."""
    tensors = [numpy_helper.from_array(np.ascontiguousarray(a).reshape(np.shape(a)), name) for name, a in arrays.items()]
    tensors.append(numpy_helper.from_array(np.zeros(1, np.float32), "strop_unused"))
    output = helper.make_tensor_value_info("strop_unused", TensorProto.FLOAT, [1])
    onnx.save(helper.make_model(helper.make_graph([], "tensors", [], [output], tensors)), path)


def load_tensors(path):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def run_ort(model, inputs):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


# ---------------------------------------------------------------------------------------------------- node tests

# Why a node test of a supported operator is not run: what the message says is outside of the evaluator.
OUTSIDE = re.compile(
    r"has the type (bfloat16|string|float8\w*|float4\w*|u?int2|u?int4|complex\d+|float6\w*)|cast to|quantizing to|"
    r"training mode|is not a dense tensor|a constant that is neither|an output type that no tensor"
)


# Expected values that carry the rounding of numpy's own float16 sums, two units in the last place from the exact ones.
HALF = {"test_attention_4d_causal_fp16_expanded": 2e-3}
# Expected values whose zeros are rounding noise of a float32 transform.
NOISE = {"test_dft_inverse": 1e-6, "test_dft_inverse_opset19": 1e-6}


def supported_operators(model_eval):
    ops = sorted({s.name for s in onnx.defs.get_all_schemas() if s.domain == ""})
    answers = model_eval(*[f"supports {op} 24" for op in ops])
    return {op for op, answer in zip(ops, answers) if answer == "ok"}


def node_tests(operators):
    """ONNX's node tests, made in memory by the modules named after the operators."""
    wanted = {op.lower() for op in operators}
    for module in pkgutil.iter_modules(node_cases.__path__):
        if module.name.replace("_", "") in wanted:
            importlib.import_module(f"{node_cases.__name__}.{module.name}")
    return [
        case
        for case in node_cases._NodeTestCases
        if case.model.graph.node and all(n.op_type in operators and n.domain == "" for n in case.model.graph.node)
    ]


def as_array(value):
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def test_onnx_node_tests(model_eval, tmp_path, capsys):
    cases = node_tests(supported_operators(model_eval))
    lines = []
    for i, case in enumerate(cases):
        (tmp_path / f"{i}.onnx").write_bytes(case.model.SerializeToString())
        inputs = {v.name: as_array(a) for v, a in zip(case.model.graph.input, case.data_sets[0][0])}
        save_tensors(tmp_path / f"{i}.in", {k: a for k, a in inputs.items() if isinstance(a, np.ndarray)})
        lines.append(f"evaluate {tmp_path}/{i}.onnx {tmp_path}/{i}.in {tmp_path}/{i}.out")
    passed, outside, failed = 0, [], []
    for i, (case, answer) in enumerate(zip(cases, model_eval(*lines))):
        if answer.startswith("unsupported") and OUTSIDE.search(answer):
            outside.append(case.name)
            continue
        try:
            assert answer == "ok", answer
            found = load_tensors(tmp_path / f"{i}.out")
            for value, expected in zip(case.model.graph.output, map(as_array, case.data_sets[0][1])):
                actual = found[value.name]
                assert actual.dtype == expected.dtype and actual.shape == np.shape(expected)
                rtol, atol = HALF.get(case.name, case.rtol), NOISE.get(case.name, case.atol)
                np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)
            passed += 1
        except AssertionError as error:
            failed.append(f"{case.name}: {' '.join(str(error).split())[:300]}")
    with capsys.disabled():
        print(f"\nONNX node tests: {passed} passed, {len(failed)} failed, {len(outside)} of types or modes outside")
    assert not failed, "\n".join(failed)
    assert passed > 1100


# ------------------------------------------------------------------------------------------------- random models


class Builder:
    """A random small network of one opset: the spellings that changed between opsets are all in here."""

    def __init__(self, opset, seed):
        self.opset = opset
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights = [], []
        self.value, self.shape = "x", [2, int(self.rng.integers(2, 5)), int(self.rng.integers(9, 14)), 11]
        self.input_shape = list(self.shape)

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def normal(self, *shape, scale=0.4):
        return self.weight((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def add(self, op, *inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, [self.value, *inputs], names, **attributes))
        self.value = names[0]
        return names

    def since(self, opset, op, name, values):
        """`values` is an attribute before `opset`, an input from it on."""
        if self.opset < opset:
            return self.add(op, **{name: values})
        return self.add(op, self.weight(np.array(values, np.int64)))

    def size(self, size, kernel, stride, pads, dilation=1, ceil=False):
        room = size + pads - dilation * (kernel - 1) - 1
        return (-(-room // stride) if ceil else room // stride) + 1

    def conv(self):
        channels = self.shape[1]
        group = int(self.rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        filters, kernel = group * int(self.rng.integers(1, 4)), int(self.rng.integers(1, 4))
        stride, dilation = int(self.rng.integers(1, 3)), int(self.rng.integers(1, 3))
        inputs = [self.normal(filters, channels // group, kernel, kernel)]
        if self.rng.random() < 0.7:
            inputs.append(self.normal(filters))
        attributes = dict(group=group, strides=[stride, 1], dilations=[1, dilation], kernel_shape=[kernel, kernel])
        if self.rng.random() < 0.4:
            attributes.update(auto_pad=str(self.rng.choice(["SAME_UPPER", "SAME_LOWER"])), dilations=[1, 1])
            self.add("Conv", *inputs, **attributes)
            self.shape = [self.shape[0], filters, -(-self.shape[2] // stride), self.shape[3]]
        else:
            self.add("Conv", *inputs, pads=[1, 1, 0, 2], **attributes)
            height = self.size(self.shape[2], kernel, stride, 1)
            self.shape = [self.shape[0], filters, height, self.size(self.shape[3], kernel, 1, 3, dilation)]

    def pool(self):
        if min(self.shape[2:]) < 3:
            return
        ceil = self.opset >= 10 and self.rng.random() < 0.5
        attributes = dict(kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])
        if ceil:
            attributes["ceil_mode"] = 1
        if self.rng.random() < 0.5:
            self.add("MaxPool", **attributes)
        else:
            self.add("AveragePool", count_include_pad=int(self.rng.integers(2)), **attributes)
        height = self.size(self.shape[2], 3, 2, 2, ceil=ceil)
        if ceil and (height - 1) * 2 >= self.shape[2] + 1:
            height -= 1
        self.shape[2:] = [height, self.size(self.shape[3], 2, 2, 0, ceil=ceil)]

    def batch_norm(self):
        c = self.shape[1]
        variance = self.weight(self.rng.uniform(0.5, 2, c).astype(np.float32))
        self.add("BatchNormalization", self.normal(c), self.normal(c), self.normal(c), variance, epsilon=1e-3)

    def activation(self):
        kinds = ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Clip", "Softplus"]
        kinds += ["HardSwish"] * (self.opset >= 14) + ["Gelu"] * (self.opset >= 20) + ["Erf"] * (self.opset >= 9)
        kind = str(self.rng.choice(kinds))
        if kind != "Clip":
            self.add(kind)
        elif self.opset < 11:
            self.add("Clip", min=-0.5, max=0.8)
        else:
            self.add("Clip", self.weight(np.float32(-0.5)), self.weight(np.float32(0.8)))

    def residual(self):
        start = self.value
        self.activation()
        self.add("Mul", self.normal(self.shape[1], 1, 1))
        self.add(str(self.rng.choice(["Add", "Sub"])), start)

    def concat(self):
        start = self.value
        self.activation()
        self.add("Concat", start, axis=1)
        self.shape[1] *= 2

    def move(self):
        self.add("Transpose", perm=[0, 1, 3, 2])
        self.since(13, "Unsqueeze", "axes", [1])
        self.since(13, "Squeeze", "axes", [1])
        self.shape[2:] = self.shape[:1:-1]

    def pad_and_slice(self):
        pads = [0, 0, 1, 0, 0, 0, 2, 1]
        if self.opset < 11:
            self.add("Pad", pads=pads, value=0.25, mode="constant")
        else:
            self.add("Pad", self.weight(np.array(pads)), self.weight(np.float32(0.25)))
        if self.opset < 10:
            self.add("Slice", axes=[2, 3], starts=[1, 0], ends=[1000, -1])
        else:
            lists = [[1, 0], [1000, -1], [2, 3], [1, 1]]
            self.add("Slice", *[self.weight(np.array(v)) for v in lists])
        self.shape[2] += 2

    def split(self):
        if self.shape[1] < 2:
            return
        sizes = [1, self.shape[1] - 1]
        if self.opset < 13:
            first, second = self.add("Split", outputs=2, split=sizes, axis=1)
        else:
            first, second = self.add("Split", self.weight(np.array(sizes)), outputs=2, axis=1)
        self.value = second
        self.add("Add", first)
        self.shape[1] -= 1

    def dropout(self):
        if self.opset < 12:
            self.add("Dropout", ratio=0.5)
        else:
            self.add("Dropout", self.weight(np.float32(0.5)))

    def head(self):
        n, c, h, w = self.shape
        kind = int(self.rng.integers(4))
        if kind == 0:
            self.add("GlobalAveragePool")
            self.add("Flatten")
            width = c
        elif kind == 1:
            self.add("Reshape", self.weight(np.array([0, -1])))
            width = c * h * w
        elif kind == 2:
            self.since(18, "ReduceMean", "axes", [2, -1])
            self.add("Reshape", self.weight(np.array([-1, c])))
            width = c
        else:
            # What torch exports for x.view(x.size(0), -1): the shape is computed.
            start = self.value
            self.add("Shape")
            self.add("Gather", self.weight(np.int64(0)), axis=0)
            self.since(13, "Unsqueeze", "axes", [0])
            self.add("Concat", self.weight(np.array([-1])), axis=0)
            target, self.value = self.value, start
            self.add("Reshape", target)
            width = c * h * w
        hidden = int(self.rng.integers(2, 6))
        if self.rng.random() < 0.5:
            self.add("Gemm", self.normal(hidden, width), self.normal(hidden), transB=1, alpha=0.5, beta=1.5)
        else:
            self.add("MatMul", self.normal(width, hidden))
            self.add("Add", self.normal(hidden))
        self.activation()
        self.add("Gemm", self.normal(hidden, 4), self.normal(1, 4))
        self.logits = self.value
        self.add(str(self.rng.choice(["Softmax", "LogSoftmax"])), axis=-1 if self.opset >= 13 else 1)

    def model(self):
        stages = [self.conv, self.pool, self.batch_norm, self.activation, self.residual, self.concat, self.move,
                  self.pad_and_slice, self.split, self.dropout]
        self.conv()
        self.batch_norm()
        for stage in self.rng.choice(len(stages), 5):
            stages[stage]()
        self.head()
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *self.input_shape[1:]])],
            [helper.make_tensor_value_info(self.value, TensorProto.FLOAT, ["batch", 4])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        helper.set_model_props(model, {"purpose": "test"})
        onnx.checker.check_model(model, full_check=True)
        return model


def all_values(model):
    """The model with every value of it as an output, and no type on those."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    known = {o.name for o in model.graph.output}
    for node in model.graph.node:
        exposed.graph.output.extend(onnx.ValueInfoProto(name=v) for v in node.output if v and v not in known)
    return exposed


def parse_shapes(answer):
    assert answer.startswith("ok"), answer
    found = {}
    for word in answer.split()[1:]:
        name, dtype, sizes = re.fullmatch(r"(\S+)=([a-z]+\d*)(?:\[(\S*)\])?", word).groups()
        found[name] = (dtype, None if sizes is None else [-1 if s == "?" else int(s) for s in sizes.split(",") if s])
    return found


@pytest.mark.parametrize("opset", OPSETS)
def test_random_models_agree_with_onnxruntime(opset, model_eval, tmp_path):
    models = [Builder(opset, 100 * opset + seed).model() for seed in range(8)]
    inputs = [
        {"x": np.random.default_rng(i).standard_normal([2, *[d.dim_value for d in m.graph.input[0].type.tensor_type.shape.dim][1:]]).astype(np.float32)}
        for i, m in enumerate(models)
    ]
    lines = []
    for i, (model, x) in enumerate(zip(models, inputs)):
        path = tmp_path / str(i)
        (tmp_path / f"{i}.onnx").write_bytes(model.SerializeToString())
        save_tensors(f"{path}.in", x)
        lines += [f"evaluate {path}.onnx {path}.in {path}.out", f"copy {path}.onnx {path}.copy",
                  f"simplify {path}.onnx {path}.simple", f"shapes {path}.onnx"]
    answers = model_eval(*lines)
    for i, (model, x) in enumerate(zip(models, inputs)):
        evaluated, copied, simplified, shapes = answers[4 * i : 4 * i + 4]
        assert [evaluated, copied, simplified] == ["ok"] * 3
        output = model.graph.output[0].name
        expected = run_ort(model, x)[output]
        np.testing.assert_allclose(load_tensors(tmp_path / f"{i}.out")[output], expected, rtol=1e-4, atol=1e-5)

        copy = onnx.load(tmp_path / f"{i}.copy")
        onnx.checker.check_model(copy, full_check=True)
        assert copy.graph.input[0].type == model.graph.input[0].type and copy.opset_import == model.opset_import
        assert {p.key: p.value for p in copy.metadata_props} == {"purpose": "test"}
        np.testing.assert_array_equal(run_ort(copy, x)[output], expected)

        simple = onnx.load(tmp_path / f"{i}.simple")
        onnx.checker.check_model(simple, full_check=True)
        ops = [n.op_type for n in simple.graph.node]
        assert ops[0] == "Conv" and "Dropout" not in ops
        assert ops[1:2] != ["BatchNormalization"], "the normalization behind the first Conv is folded"
        np.testing.assert_allclose(run_ort(simple, x)[output], expected, rtol=1e-4, atol=1e-5)

        found = parse_shapes(shapes)
        for name, array in run_ort(all_values(model), x).items():
            dtype, sizes = found[name]
            assert dtype == array.dtype.name and sizes is not None and len(sizes) == array.ndim, name
            unknown = [axis for axis, size in enumerate(sizes) if size != array.shape[axis]]
            assert all(sizes[axis] == -1 and array.shape[axis] == 2 for axis in unknown), f"{name}: {sizes} {array.shape}"


# -------------------------------------------------------------------------------------------- what a file may hold


def small_model(weight, opset=21, ir_version=10):
    """y = x @ DequantizeLinear(weight), or x @ weight for floats."""
    float_weight = weight.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    nodes = [helper.make_node("MatMul", ["x", "w" if float_weight else "w_float"], ["y"])]
    scale = numpy_helper.from_array(np.float32(0.5), "scale")
    if not float_weight:
        nodes.insert(0, helper.make_node("DequantizeLinear", ["w", "scale"], ["w_float"]))
    kind = weight.data_type if float_weight else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("x", kind, [1, weight.dims[0]])],
        [helper.make_tensor_value_info("y", kind, [1, weight.dims[1]])], [weight, scale],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", ["INT4", "UINT4", "FLOAT", "FLOAT16", "DOUBLE", "INT8", "UINT8", "INT32"])
def test_every_encoding_of_a_weight(kind, raw, model_eval, tmp_path):
    data_type = getattr(TensorProto, kind)
    numbers = np.array([[-8, 7, 3], [1, -1, 0], [5, -5, 2]])  # an odd count: the last 4-bit byte is half empty
    if kind.startswith("U"):
        numbers = np.abs(numbers)
    values = numbers.astype(helper.tensor_dtype_to_np_dtype(data_type))
    weight = numpy_helper.from_array(values, "w")
    if not raw:
        flat = values.view(np.uint16) if kind == "FLOAT16" else values
        weight = helper.make_tensor("w", data_type, [3, 3], (numbers if kind != "FLOAT16" else values).flatten())
        assert not weight.HasField("raw_data") and flat.size == 9
    assert weight.data_type == data_type
    model = small_model(weight)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    x = np.array([[1, 2, 3]], helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type))
    save_tensors(tmp_path / "x", {"x": x})
    path = tmp_path
    assert model_eval(f"evaluate {path}/m.onnx {path}/x {path}/y", f"copy {path}/m.onnx {path}/c",
                      f"simplify {path}/m.onnx {path}/s") == ["ok"] * 3
    expected = x.astype(np.float64) @ numbers * (1 if "scale" not in model.graph.node[0].input else 0.5)
    np.testing.assert_array_equal(load_tensors(tmp_path / "y")["y"], expected.astype(x.dtype))
    for name in ("c", "s"):
        copy = onnx.load(tmp_path / name)
        onnx.checker.check_model(copy, full_check=True)
        kept = {t.name: t for t in copy.graph.initializer}["w"]
        assert kept.data_type == data_type and kept.HasField("raw_data")
        np.testing.assert_array_equal(numpy_helper.to_array(kept), values)


def test_external_data(model_eval, tmp_path):
    weight = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "w")
    model = small_model(weight)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    x = np.array([[1, 2, 3]], np.float32)
    save_tensors(tmp_path / "x", {"x": x})
    path = tmp_path
    assert model_eval(f"evaluate {path}/m.onnx {path}/x {path}/y", f"copy {path}/m.onnx {path}/c") == ["ok", "ok"]
    np.testing.assert_array_equal(load_tensors(tmp_path / "y")["y"], x @ np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(run_ort((tmp_path / "c").read_bytes(), {"x": x})["y"], x @ np.arange(12).reshape(3, 4))

    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:20])
    (answer,) = model_eval(f"copy {path}/m.onnx {path}/c")
    assert answer.startswith("corrupt: ") and "weights.bin" in answer and "cut short" in answer
    weights.unlink()
    (answer,) = model_eval(f"copy {path}/m.onnx {path}/c")
    assert answer.startswith("not_found: ") and "weights.bin" in answer


def test_external_data_stays_in_the_models_folder(model_eval, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(48))
    (tmp_path / "in").mkdir()
    for location in ["../secret", str(tmp_path / "secret"), "a/../../secret", ""]:
        weight = numpy_helper.from_array(np.zeros((3, 4), np.float32), "w")
        onnx.external_data_helper.set_external_data(weight, location or " ")
        weight.external_data[0].value = location
        weight.ClearField("raw_data")
        (tmp_path / "in/m.onnx").write_bytes(small_model(weight).SerializeToString())
        (answer,) = model_eval(f"copy {tmp_path}/in/m.onnx {tmp_path}/c")
        assert answer.startswith("corrupt: ") and "expected a file in the model's folder" in answer


def test_initializers_may_be_inputs_too(model_eval, tmp_path):
    """Before IR version 4 they had to be."""
    model = small_model(numpy_helper.from_array(np.ones((3, 2), np.float32), "w"), opset=7, ir_version=3)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 2]))
    model.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, []))
    onnx.checker.check_model(model)
    (tmp_path / "m").write_bytes(model.SerializeToString())
    assert model_eval(f"copy {tmp_path}/m {tmp_path}/c") == ["ok"]
    copy = onnx.load(tmp_path / "c")
    onnx.checker.check_model(copy, full_check=True)
    assert [i.name for i in copy.graph.input] == ["x"]
    np.testing.assert_array_equal(run_ort(copy, {"x": np.ones((1, 3), np.float32)})["y"], [[3, 3]])


def test_subgraphs_keep_what_they_use(model_eval, tmp_path):
    """The branches of If read `doubled` and `w` of the graph around them; simplifying must leave both in place."""
    branch = lambda op: helper.make_graph(  # noqa: E731
        [helper.make_node(op, ["doubled", "w"], ["out"])], op, [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [2])])
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Add", ["same", "same"], ["doubled"]),
        helper.make_node("If", ["which"], ["y"], then_branch=branch("Add"), else_branch=branch("Mul")),
    ]
    graph = helper.make_graph(
        nodes, "branches",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]), helper.make_tensor_value_info("which", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.array([10, 20], np.float32), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "m").write_bytes(model.SerializeToString())
    assert model_eval(f"simplify {tmp_path}/m {tmp_path}/s") == ["ok"]
    simple = onnx.load(tmp_path / "s")
    onnx.checker.check_model(simple, full_check=True)
    assert [n.op_type for n in simple.graph.node] == ["Add", "If"]
    x = np.array([1, 2], np.float32)
    np.testing.assert_array_equal(run_ort(simple, {"x": x, "which": np.array(True)})["y"], [12, 24])
    np.testing.assert_array_equal(run_ort(simple, {"x": x, "which": np.array(False)})["y"], [20, 80])


def test_integer_arithmetic_of_a_quantized_model(model_eval, tmp_path):
    """QDQ, the way strop compress and onnxruntime's quantizer write it, bit for bit."""
    rng = np.random.default_rng(5)
    weights = [
        numpy_helper.from_array(np.float32(0.02), "x_scale"),
        numpy_helper.from_array(np.uint8(3), "x_zero"),
        numpy_helper.from_array(rng.integers(-127, 128, (6, 8), np.int8), "w"),
        numpy_helper.from_array(rng.uniform(0.001, 0.01, 6).astype(np.float32), "w_scale"),
        numpy_helper.from_array(np.zeros(6, np.int8), "w_zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "x_zero"], ["x_dq"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_dq"], axis=0),
        helper.make_node("Gemm", ["x_dq", "w_dq"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes, "qdq", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 6]),
         helper.make_tensor_value_info("x_q", TensorProto.UINT8, ["n", 8])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "m").write_bytes(model.SerializeToString())
    x = (rng.standard_normal((50, 8)) * 2).astype(np.float32)
    save_tensors(tmp_path / "x", {"x": x})
    assert model_eval(f"evaluate {tmp_path}/m {tmp_path}/x {tmp_path}/y", f"simplify {tmp_path}/m {tmp_path}/s") == ["ok"] * 2
    found, expected = load_tensors(tmp_path / "y"), run_ort(model, {"x": x})
    np.testing.assert_array_equal(found["x_q"], expected["x_q"])
    np.testing.assert_allclose(found["y"], expected["y"], rtol=1e-5, atol=1e-6)
    simple = onnx.load(tmp_path / "s")
    assert [n.op_type for n in simple.graph.node] == [n.op_type for n in nodes], "weights stay quantized"


# --------------------------------------------------------------------------------------------------- broken models


def test_what_is_not_onnx(model_eval, tmp_path):
    texts = {"empty": b"", "text": b"this is not a model\n" * 10, "zeros": bytes(200), "parquet": b"PAR1" + bytes(64)}
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
        (answer,) = model_eval(f"everything {tmp_path}/{name}")
        assert answer.startswith(f"corrupt: {tmp_path}/{name} is not a valid ONNX model: ")
    (answer,) = model_eval(f"everything {tmp_path}/nowhere.onnx")
    assert answer.startswith("not_found: ") and "nowhere.onnx" in answer


@pytest.mark.parametrize("kind, message", [(TensorProto.BFLOAT16, "bfloat16"), (TensorProto.STRING, "string")])
def test_types_without_a_tensor(kind, message, model_eval, tmp_path):
    value = [helper.make_tensor_value_info(n, kind, [1]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    (tmp_path / "m").write_bytes(helper.make_model(graph).SerializeToString())
    (answer,) = model_eval(f"everything {tmp_path}/m")
    assert answer.startswith("unsupported: ") and f"the input x has the type {message}" in answer


def test_nodes_out_of_order_are_sorted_and_cycles_refused(model_eval, tmp_path):
    def graph(*nodes):
        value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
        made = helper.make_graph([helper.make_node("Relu", [a], [b]) for a, b in nodes], "g", value[:1], value[1:])
        (tmp_path / "m").write_bytes(helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
        return model_eval(f"copy {tmp_path}/m {tmp_path}/c")[0]

    assert graph(("b", "y"), ("a", "b"), ("x", "a")) == "ok"
    copy = onnx.load(tmp_path / "c")
    onnx.checker.check_model(copy)
    names = [n.name for n in copy.graph.node]
    assert [list(n.output) for n in copy.graph.node] == [["a"], ["b"], ["y"]] and len(set(names)) == 3 and all(names)
    assert "which is made only later" in graph(("b", "a"), ("a", "b"), ("x", "y"))
    assert "no node, input or initializer makes" in graph(("z", "y"))


def test_broken_bytes_never_crash(model_eval, tmp_path):
    """Cut at many lengths and flipped at random: each is read or refused with one line, and the process lives."""
    rng = np.random.default_rng(3)
    data = [Builder(opset, 7).model().SerializeToString() for opset in (7, 13, 20)]
    broken = [d[:length] for d in data for length in range(0, len(d), max(1, len(d) // 120))]
    for d in data:
        for _ in range(250):
            changed = bytearray(d)
            for at in rng.integers(0, len(d), rng.integers(1, 4)):
                changed[at] = rng.integers(256)
            broken.append(bytes(changed))
    lines = []
    for i, bytes_ in enumerate(broken):
        (tmp_path / str(i)).write_bytes(bytes_)
        lines.append(f"everything {tmp_path}/{i}")
    answers = model_eval(*lines)
    codes = {answer.split(":")[0] for answer in answers}
    assert codes <= {"ok", "corrupt", "unsupported", "invalid_argument"}
    assert {"ok", "corrupt"} <= codes
