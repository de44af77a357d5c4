"""ResNet-18 (He et al., 2015) and MobileNetV2 (Sandler et al., 2018) at 224 x 224, batch normalisation folded into the
convolutions as exporters leave it, and the network of examples/fashion, all with seeded random weights."""

import numpy as np
from onnx import TensorProto
from onnx_graph import Graph

SIZE, CLASSES = 224, 1000


class Net:
    def __init__(self, name, shape=(3, SIZE, SIZE), dtype=TensorProto.FLOAT):
        self.graph, self.rng = Graph(name), np.random.default_rng(0)
        self.x = self.graph.input("image", dtype, ["batch", *shape])

    def conv(self, x, name, channels, filters, kernel=1, stride=1, groups=1, activation=None):
        g, fan = self.graph, channels // groups * kernel * kernel
        weight = self.rng.normal(0, np.sqrt(2 / fan), (filters, channels // groups, kernel, kernel)).astype(np.float32)
        bias = self.rng.normal(0, 0.1, filters).astype(np.float32)
        x = g.node("Conv", name, x, g.constant(f"{name}.weight", weight), g.constant(f"{name}.bias", bias),
                   kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=groups)
        if activation == "relu6":
            return g.node("Clip", f"{name}/Clip", x, "zero", "six")
        return g.node("Relu", f"{name}/Relu", x) if activation else x

    def dense(self, x, name, channels, filters):
        g, weight = self.graph, self.rng.normal(0, np.sqrt(1 / channels), (filters, channels)).astype(np.float32)
        return g.node("Gemm", name, x, g.constant(f"{name}.weight", weight),
                      g.constant(f"{name}.bias", np.zeros(filters, np.float32)), transB=1)

    def head(self, x, channels):
        x = self.graph.node("Flatten", "flatten", self.graph.node("GlobalAveragePool", "pool", x), axis=1)
        self.graph.output(self.dense(x, "fc", channels, CLASSES), "logits", ["batch", CLASSES])
        return self.graph.model()


def resnet18():
    net = Net("resnet18")
    x = net.conv(net.x, "conv1", 3, 64, 7, 2, activation="relu")
    x = net.graph.node("MaxPool", "maxpool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name, stride = f"layer{stage + 1}.{block}", 2 if stage > 0 and block == 0 else 1
            y = net.conv(x, f"{name}.conv1", channels, filters, 3, stride, activation="relu")
            y = net.conv(y, f"{name}.conv2", filters, filters, 3)
            if stride > 1:
                x = net.conv(x, f"{name}.downsample", channels, filters, 1, stride)
            x = net.graph.node("Relu", f"{name}/Relu", net.graph.node("Add", f"{name}/Add", y, x))
            channels = filters
    return net.head(x, channels)


def mobilenet_v2():
    net = Net("mobilenet_v2")
    net.graph.constant("zero", np.float32(0))
    net.graph.constant("six", np.float32(6))
    x, channels = net.conv(net.x, "stem", 3, 32, 3, 2, activation="relu6"), 32
    number = 0
    for expansion, filters, repeats, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                               (6, 160, 3, 2), (6, 320, 1, 1)):
        for repeat in range(repeats):
            name, stride, wide = f"block{number}", first if repeat == 0 else 1, channels * expansion
            y = net.conv(x, f"{name}.expand", channels, wide, activation="relu6") if expansion > 1 else x
            y = net.conv(y, f"{name}.depthwise", wide, wide, 3, stride, groups=wide, activation="relu6")
            y = net.conv(y, f"{name}.project", wide, filters)
            x = net.graph.node("Add", f"{name}/Add", x, y) if stride == 1 and channels == filters else y
            channels, number = filters, number + 1
    x = net.conv(x, "last", channels, 1280, activation="relu6")
    return net.head(x, 1280)


def fashion():
    net = Net("fashion", (1, 28, 28), TensorProto.UINT8)
    g = net.graph
    x = g.node("Div", "scaled", g.node("Cast", "cast", net.x, to=TensorProto.FLOAT), g.constant("255", np.float32(255)))
    channels = 1
    for name, filters in (("conv1", 32), ("conv2", 64)):
        x = net.conv(x, name, channels, filters, 3, activation="relu")
        x, channels = g.node("MaxPool", f"{name}/pool", x, kernel_shape=[2, 2], strides=[2, 2]), filters
    x = g.node("Relu", "hidden/Relu", net.dense(g.node("Flatten", "flatten", x, axis=1), "hidden", 3136, 128))
    g.output(net.dense(x, "head", 128, 10), "logits", ["batch", 10])
    return g.model()


def fashion_samples(rng, count):
    for _ in range(count):
        yield {"image": rng.integers(0, 256, (1, 1, 28, 28), dtype=np.uint8)}


def samples(rng, count):
    for _ in range(count):
        yield {"image": rng.normal(0, 1, (1, 3, SIZE, SIZE)).astype(np.float32)}
