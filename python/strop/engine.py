"""CPU inference of ONNX models: a session on OpenVINO and Strop's own kernels, whichever this machine runs faster."""

import json
import os
from typing import NamedTuple

from strop import _engine

__all__ = ["Session", "Value", "tune"]


class Value(NamedTuple):
    """An input or output. A dynamic size is its name, or None when it has none."""

    name: str
    shape: tuple
    dtype: str


class Session:
    """A model ready to run. `run` may be called from many threads at once.

    threads=0 takes every usable CPU. `taps` are values inside the model to answer beside its outputs. `plan` is a file
    that `strop bench` or `tune` saved (default: MODEL.plan.json if it is there and holds for this machine); `prefer`
    forces "openvino", "strop" or "reference". profile_layers=True lets profile() look inside OpenVINO's regions.
    """

    def __init__(self, path, threads=0, taps=(), *, plan="", prefer="", profile_layers=False):
        self._session = _engine.Session.load(
            os.fspath(path), threads, list(taps), os.fspath(plan), prefer, profile_layers
        )

    @property
    def inputs(self):
        return self._session.inputs

    @property
    def outputs(self):
        """The model's outputs, then the taps."""
        return self._session.outputs

    @property
    def model_hash(self):
        return self._session.model_hash

    def run(self, inputs, outputs=None):
        """Answers NumPy arrays by name, for NumPy arrays, torch tensors or other DLPack arrays by name. Nothing is
        copied, but inputs that are not row-major and dense. `outputs`: the names wanted; None: all."""
        return self._session.run(inputs, [] if outputs is None else list(outputs))

    def plan(self):
        """A dict a step: layer, op, kernel, isa, bits, sparsity, candidates (kernel -> seconds)."""
        return self._session.plan()

    def profile(self):
        """A dict a step, or a layer: layer, op, kernel, calls, seconds (summed over the runs so far)."""
        return self._session.profile()


def tune(path, threads=0, batch=1, seconds=2.0):
    """Times the candidates on this machine, saves MODEL.plan.json beside the model and answers it as a dict."""
    return json.loads(_engine.tune(os.fspath(path), threads, batch, seconds))
