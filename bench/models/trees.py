"""A gradient-boosted model of real rows: scikit-learn's digits from 0 to 1, 100 rounds of trees of depth 4 for each of ten classes."""

import numpy as np
from onnx import TensorProto
from onnx_graph import Graph
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier


def build():
    rows, labels = load_digits(return_X_y=True)
    fitted = GradientBoostingClassifier(n_estimators=100, max_depth=4, random_state=0).fit((rows / 16).astype(np.float32), labels)
    node = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaf = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    for number, estimator in enumerate(fitted.estimators_.ravel()):
        tree = estimator.tree_
        for at in range(tree.node_count):
            inner = tree.children_left[at] >= 0
            for key, value in (("treeids", number), ("nodeids", at), ("featureids", max(int(tree.feature[at]), 0)),
                               ("values", float(np.float32(tree.threshold[at])) if inner else 0.0),
                               ("modes", "BRANCH_LEQ" if inner else "LEAF"),
                               ("truenodeids", max(int(tree.children_left[at]), 0)),
                               ("falsenodeids", max(int(tree.children_right[at]), 0))):
                node[key].append(value)
            if not inner:
                for key, value in (("treeids", number), ("nodeids", at), ("ids", number % 10),
                                   ("weights", float(tree.value[at].item() * fitted.learning_rate))):
                    leaf[key].append(value)
    g = Graph("boosted_digits")
    x = g.input("x", TensorProto.FLOAT, ["batch", rows.shape[1]])
    scores = g.node("TreeEnsembleRegressor", "trees", x, domain="ai.onnx.ml", n_targets=10,
                    **{f"nodes_{key}": values for key, values in node.items()},
                    **{f"target_{key}": values for key, values in leaf.items()})
    g.output(scores, "scores", ["batch", 10])
    return g.model()
