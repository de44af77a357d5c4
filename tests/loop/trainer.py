"""A trainer without torch: softmax regression on pixels, exported to ONNX. Fast enough for a test of the whole loop."""

import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper as onh

import strop
from strop.feed import Loader


def predict(images, weight, bias):
    return images.reshape(len(images), -1).astype(np.float32) / 255 @ weight + bias


def export(weight, bias, path):
    nodes = [oh.make_node("Cast", ["image"], ["float"], to=onnx.TensorProto.FLOAT),
             oh.make_node("Div", ["float", "scale"], ["unit"]),
             oh.make_node("Flatten", ["unit"], ["pixels"], axis=1),
             oh.make_node("Gemm", ["pixels", "weight", "bias"], ["logits"])]
    graph = oh.make_graph(
        nodes, "softmax_regression",
        [oh.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", 1, 28, 28])],
        [oh.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 10])],
        [onh.from_array(np.float32(255), "scale"), onh.from_array(weight, "weight"), onh.from_array(bias, "bias")])
    onnx.save(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=9), path)


def main():
    trial = strop.trial(defaults={"learning_rate": 0.1})
    train = Loader(trial.data["train"], batch_size=100, shuffle=True, seed=trial.seed, format="numpy")
    validation = Loader(trial.data["validation"], batch_size=1000, format="numpy")
    weight, bias = np.zeros((784, 10), np.float32), np.zeros(10, np.float32)
    for epoch in range(max(1, round(trial.budget))):
        for batch in train:
            logits = predict(batch["image"], weight, bias)
            slope = np.exp(logits - logits.max(1, keepdims=True))
            slope /= slope.sum(1, keepdims=True)
            slope[np.arange(len(slope)), batch["label"]] -= 1
            slope *= trial.params["learning_rate"] / len(slope)
            weight -= batch["image"].reshape(len(slope), -1).T.astype(np.float32) / 255 @ slope
            bias -= slope.sum(0)
        right = [(predict(b["image"], weight, bias).argmax(1) == b["label"]).mean() for b in validation]
        trial.report(float(np.mean(right)), epoch + 1)
    export(weight, bias, str(trial.out_dir / "model.onnx"))
    trial.save(model=trial.out_dir / "model.onnx")


if __name__ == "__main__":
    main()
