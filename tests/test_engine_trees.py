"""Models of the domain ai.onnx.ml, trees above all, beside ONNX Runtime."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import strop
from strop.engine import Session

ORDERS = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"]
FEATURES = 7


def model(op, outputs, inputs=(("x", TensorProto.FLOAT, ["rows", FEATURES]),), **attributes):
    node = helper.make_node(op, [name for name, *_ in inputs], [name for name, *_ in outputs], domain="ai.onnx.ml",
                            name="node", **attributes)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info(*one) for one in inputs],
                              [helper.make_tensor_value_info(*one) for one in outputs])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)],
                             ir_version=8)


class Forest:
    """Random trees as attributes; `votes(tree)` gives the targets that each of its leaves votes for."""

    def __init__(self, rng, trees, depth, modes, votes, positive=False):
        self.rng, self.modes, self.votes, self.positive = rng, modes, votes, positive
        self.nodes, self.leaves = [], []
        for tree in range(trees):
            self.ids = 0
            self.grow(tree, depth)

    def grow(self, tree, depth):
        node = {"treeids": tree, "nodeids": self.ids, "featureids": 0, "values": 0.0, "modes": "LEAF", "truenodeids": 0,
                "falsenodeids": 0, "missing_value_tracks_true": 0}
        self.ids += 1
        self.nodes.append(node)
        if depth == 0 or self.rng.random() < 0.1:
            for target in self.votes(tree):
                weight = self.rng.random() if self.positive else self.rng.normal()
                self.leaves.append((tree, node["nodeids"], target, float(np.float32(weight))))
        else:
            node.update(featureids=int(self.rng.integers(FEATURES)), values=float(np.float32(self.rng.normal())),
                        modes=str(self.rng.choice(self.modes)), missing_value_tracks_true=int(self.rng.random() < 0.5))
            node["truenodeids"] = self.grow(tree, depth - 1)
            node["falsenodeids"] = self.grow(tree, depth - 1)
        return node["nodeids"]

    def attributes(self, prefix):
        columns = zip(*self.leaves)
        return {f"nodes_{key}": [node[key] for node in self.nodes] for key in self.nodes[0]} | {
            f"{prefix}_{key}": list(column) for key, column in zip(["treeids", "nodeids", "ids", "weights"], columns)}


def regressor(forest, targets=1, **attributes):
    return model("TreeEnsembleRegressor", [("y", TensorProto.FLOAT, ["rows", targets])], n_targets=targets,
                 **forest.attributes("target"), **attributes)


def classifier(forest, labels, **attributes):
    return model("TreeEnsembleClassifier", [("label", TensorProto.INT64, ["rows"]),
                                            ("scores", TensorProto.FLOAT, ["rows", len(labels)])],
                 classlabels_int64s=labels, **forest.attributes("class"), **attributes)


def test_a_plan_in_which_nothing_is_openvinos_is_strops(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(regressor(Forest(np.random.default_rng(1), 5, 3, ORDERS[:1], lambda tree: [0])), path)
    plan = strop.engine.tune(path, threads=1, seconds=0.1)
    assert plan["candidate"] == "strop" and [each["kernel"] for each in plan["candidates"]] == ["strop"]
    rows = {"x": np.ones((3, FEATURES), np.float32)}
    want = Session(path, threads=1).run(rows)["y"]
    (tmp_path / "model.onnx.plan.json").write_text(json.dumps(plan | {"candidate": "openvino"}))  # as plans once had it
    old = Session(path, threads=1)
    assert old.plan()[0]["kernel"].startswith("trees")
    np.testing.assert_array_equal(old.run(rows)["y"], want)


def agree(made, folder, inputs, labels=True):
    """With ONNX Runtime, and to the bit with the reference; answers the session."""
    path = folder / "model.onnx"
    onnx.save(made, path)
    session = Session(path, threads=2)
    got, plain = session.run(inputs), Session(path, prefer="reference").run(inputs)
    runtime = onnxruntime.InferenceSession(path)
    for output, want in zip(runtime.get_outputs(), runtime.run(None, inputs)):
        np.testing.assert_array_equal(got[output.name], plain[output.name])
        assert got[output.name].dtype == want.dtype and got[output.name].shape == want.shape
        if want.dtype == np.int64:
            assert not labels or (got[output.name] == want).all()
        else:
            np.testing.assert_allclose(got[output.name], want, rtol=1e-4, atol=1e-5)
    return session


def rows(rng, count):
    x = rng.normal(size=(count, FEATURES)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    return {"x": x}


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("modes", [["BRANCH_LEQ"], ORDERS, ["BRANCH_EQ", "BRANCH_NEQ", "BRANCH_LEQ"]])
def test_regressors(modes, aggregate, tmp_path):
    rng = np.random.default_rng(0)
    for count in [1, 8, 200]:
        one = Forest(rng, 30, 4, modes, lambda tree: [0])
        session = agree(regressor(one, aggregate_function=aggregate, base_values=[0.5]), tmp_path, rows(rng, count))
        assert session.plan()[0]["kernel"].startswith("reference" if "BRANCH_EQ" in modes else "trees_f32_")
        three = Forest(rng, 200, 4, modes, lambda tree: range(3))
        agree(regressor(three, 3, aggregate_function=aggregate), tmp_path, rows(rng, count))


@pytest.mark.parametrize("count", [1, 8, 200])
def test_classifiers(count, tmp_path):
    rng = np.random.default_rng(1)
    for transform in ["NONE", "LOGISTIC"]:
        for positive in [False, True]:
            binary = Forest(rng, 30, 4, ORDERS, lambda tree: [0], positive)
            agree(classifier(binary, [5, 7], post_transform=transform, base_values=[0.25]), tmp_path, rows(rng, count))
            second = Forest(rng, 30, 4, ORDERS, lambda tree: [1], positive)
            agree(classifier(second, [5, 7], post_transform=transform), tmp_path, rows(rng, count))
    for transform in ["NONE", "LOGISTIC", "SOFTMAX"]:
        boosted = Forest(rng, 400, 3, ORDERS, lambda tree: [tree % 4])
        agree(classifier(boosted, [5, 7, 9, 11], post_transform=transform), tmp_path, rows(rng, count))
        bagged = Forest(rng, 50, 5, ORDERS, lambda tree: range(4))
        agree(classifier(bagged, [5, 7, 9, 11], post_transform=transform, base_values=[0.1, 0.2, 0.3, 0.4]), tmp_path,
              rows(rng, count))


def test_the_label_of_two_voted_classes_is_the_one_on_top(tmp_path):
    """ONNX Runtime 1.32 answers the second one wherever its score is above 0."""
    rng = np.random.default_rng(2)
    bagged = Forest(rng, 50, 5, ORDERS, lambda tree: range(2), positive=True)
    inputs = rows(rng, 100)
    answers = agree(classifier(bagged, [5, 7]), tmp_path, inputs, labels=False).run(inputs)
    assert (answers["label"] == np.array([5, 7])[answers["scores"].argmax(1)]).all()
    assert len(set(answers["label"])) == 2


def test_trees_answer_the_same_on_any_number_of_threads(tmp_path):
    rng = np.random.default_rng(3)
    path = tmp_path / "model.onnx"
    onnx.save(regressor(Forest(rng, 500, 6, ORDERS, lambda tree: [0])), path)
    one, four = Session(path, threads=1), Session(path, threads=4)
    for count in [1, 20, 1000]:
        inputs = rows(rng, count)
        np.testing.assert_array_equal(one.run(inputs)["y"], four.run(inputs)["y"])


def test_too_few_features_are_named(tmp_path):
    path = tmp_path / "model.onnx"
    made = regressor(Forest(np.random.default_rng(4), 30, 4, ORDERS, lambda tree: [0]))
    made.graph.input[0].type.tensor_type.shape.dim[1].Clear()
    onnx.save(made, path)
    with pytest.raises(ValueError, match=r"node node \(TreeEnsembleRegressor\): the input is \[2,3\], expected rows of 7"):
        Session(path).run({"x": np.zeros((2, 3), np.float32)})


FLOATS = (("x", TensorProto.FLOAT, ["rows", FEATURES]),)
INTS = (("x", TensorProto.INT64, ["rows", FEATURES]),)
WEIGHTS = [float(np.float32(w)) for w in np.random.default_rng(5).normal(size=3 * FEATURES)]
OPERATORS = {
    "Scaler": ("Scaler", FLOATS, [("y", TensorProto.FLOAT, None)], {"offset": WEIGHTS[:7], "scale": WEIGHTS[7:14]}),
    "Scaler of all": ("Scaler", FLOATS, [("y", TensorProto.FLOAT, None)], {"offset": [0.5], "scale": [2.0]}),
    "Normalizer MAX": ("Normalizer", FLOATS, [("y", TensorProto.FLOAT, None)], {"norm": "MAX"}),
    "Normalizer L1": ("Normalizer", FLOATS, [("y", TensorProto.FLOAT, None)], {"norm": "L1"}),
    "Normalizer L2": ("Normalizer", FLOATS, [("y", TensorProto.FLOAT, None)], {"norm": "L2"}),
    "Binarizer": ("Binarizer", FLOATS, [("y", TensorProto.FLOAT, None)], {"threshold": 0.25}),
    "Imputer": ("Imputer", FLOATS, [("y", TensorProto.FLOAT, None)],
                {"imputed_value_floats": WEIGHTS[:7], "replaced_value_float": float("nan")}),
    "Imputer of integers": ("Imputer", INTS, [("y", TensorProto.INT64, None)],
                            {"imputed_value_int64s": [9], "replaced_value_int64": 2}),
    "LabelEncoder": ("LabelEncoder", INTS, [("y", TensorProto.INT64, None)],
                     {"keys_int64s": [0, 1, 3], "values_int64s": [30, 20, 10], "default_int64": -5}),
    "LabelEncoder to floats": ("LabelEncoder", INTS, [("y", TensorProto.FLOAT, None)],
                               {"keys_int64s": [0, 1, 3], "values_floats": [0.5, 1.5, 2.5], "default_float": -1.0}),
    "OneHotEncoder": ("OneHotEncoder", INTS, [("y", TensorProto.FLOAT, None)], {"cats_int64s": [0, 2, 3], "zeros": 1}),
    "LinearRegressor": ("LinearRegressor", FLOATS, [("y", TensorProto.FLOAT, None)],
                        {"coefficients": WEIGHTS, "intercepts": [0.1, 0.2, 0.3], "targets": 3}),
    "LinearClassifier": ("LinearClassifier", FLOATS, [("y", TensorProto.INT64, None), ("z", TensorProto.FLOAT, None)],
                         {"coefficients": WEIGHTS, "intercepts": [0.1, 0.2, 0.3], "classlabels_ints": [4, 5, 6],
                          "post_transform": "SOFTMAX"}),
    "LinearClassifier of two": ("LinearClassifier", FLOATS,
                                [("y", TensorProto.INT64, None), ("z", TensorProto.FLOAT, None)],
                                {"coefficients": WEIGHTS[:7], "intercepts": [0.1], "classlabels_ints": [4, 5],
                                 "post_transform": "LOGISTIC"}),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_operators(case, tmp_path):
    op, inputs, outputs, attributes = OPERATORS[case]
    rng = np.random.default_rng(6)
    x = rng.normal(size=(20, FEATURES)).astype(np.float32) if inputs is FLOATS else rng.integers(0, 5, (20, FEATURES))
    if op == "Imputer" and inputs is FLOATS:
        x[rng.random(x.shape) < 0.3] = np.nan
    agree(model(op, outputs, inputs, **attributes), tmp_path, {"x": x})


def test_chosen_columns(tmp_path):
    inputs = (("x", TensorProto.FLOAT, ["rows", FEATURES]), ("columns", TensorProto.INT64, ["chosen"]))
    made = model("ArrayFeatureExtractor", [("y", TensorProto.FLOAT, None)], inputs)
    x = np.random.default_rng(7).normal(size=(5, FEATURES)).astype(np.float32)
    agree(made, tmp_path, {"x": x, "columns": np.array([3, 0, 3])})


def test_labels_that_are_strings_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    forest = Forest(np.random.default_rng(8), 3, 2, ORDERS, lambda tree: [0])
    made = model("TreeEnsembleClassifier", [("label", TensorProto.STRING, ["rows"]), ("scores", TensorProto.FLOAT, ["rows", 2])],
                 classlabels_strings=["no", "yes"], **forest.attributes("class"))
    onnx.save(made, path)
    with pytest.raises(strop.Unsupported, match="label has the type string"):
        Session(path)
