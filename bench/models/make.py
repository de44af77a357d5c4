"""Writes the models that the engine is measured on into a folder: those of this folder in float32 and, but for the trees,
as INT8 QDQ by ONNX Runtime's static quantisation (weights of int8 with a scale a channel, activations of uint8, both
calibrated by their smallest and largest values on 16 seeded inputs; of the transformer, all products, those of attention too,
whose answers stay float32, as its bias and what follows want them).

    python bench/models/make.py build/models
"""

import sys
from pathlib import Path

import convnets
import minilm
import numpy as np
import onnx
import trees
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Rows(CalibrationDataReader):
    def __init__(self, samples):
        self.left = samples(np.random.default_rng(1), 16)

    def get_next(self):
        return next(self.left, None)


MODELS = {
    "minilm": (minilm.build, minilm.samples, ["MatMul"]),
    "resnet18": (lambda _: convnets.resnet18(), convnets.samples, ["Conv", "Gemm", "Add", "MaxPool"]),
    "mobilenet_v2": (lambda _: convnets.mobilenet_v2(), convnets.samples, ["Conv", "Gemm", "Add"]),
    "fashion": (lambda _: convnets.fashion(), convnets.fashion_samples, ["Conv", "Gemm", "MaxPool"]),
    "boosted_digits": (lambda _: trees.build(), None, None),
}


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, (build, samples, kinds) in MODELS.items():
        path, integers = folder / f"{name}.onnx", folder / f"{name}_int8.onnx"
        if not path.exists():
            onnx.save(build(folder), path)
        if samples and not integers.exists():
            quantize_static(path, integers, Rows(samples), quant_format=QuantFormat.QDQ, per_channel=True,
                            weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8, op_types_to_quantize=kinds,
                            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]})
        print(path, *([integers] if samples else []), flush=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
