"""Compression: an ONNX model in, a smaller and faster standard ONNX model out, within a limit on its quality.

The work is done by the program strop-compress, so that nothing heavy enters this process.
"""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import Cancelled, Error, InvalidArgument, NotFound, Unsupported

__all__ = ["Result", "compress"]


@dataclass(frozen=True)
class Result:
    """What `strop compress` found. `raw` is its whole JSON object."""

    model: str
    metric: str
    baseline: float
    """The metric of the model given, on the evaluation rows."""
    quality: float
    """The metric of the compressed model, on the same rows."""
    interval: tuple[float, float]
    """95% paired interval of the change; positive is better."""
    speedup: float
    """Median latency of the model given over that of the compressed one, measured in turns."""
    layers: list[dict]
    """layer, op, bits and sensitivity (noise over signal at the output when it alone is quantised)."""
    pareto: list[dict]
    """What was tried and is not beaten in both the number of INT8 layers and quality."""
    raw: dict = field(repr=False)
    _report: str = field(repr=False)

    def save_report(self, path) -> None:
        """Writes a page that shows the outcome, every layer and every attempt."""
        Path(path).write_text(self._report, encoding="utf-8")


def compress(
    model,
    output,
    *,
    data,
    eval=None,  # noqa: A002 - the name is the command's
    label="label",
    metric="accuracy",
    max_drop=0.01,
    methods="auto",
    budget="10m",
    teacher=None,
    bits=8,
    sparsity=None,
    block=None,
    clusters=None,
    batch=1,
    threads=0,
    seed=0,
) -> Result:
    """Runs `strop compress`. Without `eval`, `data` is split by `seed` into rows to calibrate and rows to judge on."""
    if callable(metric):
        raise Unsupported("a callable metric is not yet built: name one of accuracy, f1, auc, pr_auc, ndcg@K, rmse")
    if methods not in ("auto", "int8", ["int8"]):
        raise Unsupported(f"methods={methods!r} is not yet built: expected 'auto' or 'int8'")
    options = {
        "--data": data, "--eval": eval, "--label": label, "--metric": metric, "--max-drop": max_drop,
        "--budget": budget, "--teacher": teacher, "--bits": bits, "--sparsity": sparsity, "--block": block,
        "--clusters": clusters, "--batch": batch, "--threads": threads, "--seed": seed,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="strop-compress-") as folder:
        report = Path(folder) / "report.html"
        command = [_program(), os.fspath(model), "-o", os.fspath(output), "--json", "--quiet", "--report", str(report)]
        for name, value in options.items():
            if value is not None:
                command += [name, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            _fail(done)
        return _result(json.loads(done.stdout), report.read_text(encoding="utf-8"))


def _program() -> str:
    # Not resolved: in a build tree this file is a link, and the programs lie beside the link.
    folder = Path(os.environ.get("STROP_BIN_DIR") or Path(__file__).parent / "bin")
    program = folder / "strop-compress"
    if not program.is_file():
        raise NotFound(f"{program} is missing: it is installed with Strop; STROP_BIN_DIR names another folder")
    return str(program)


def _fail(done) -> None:
    lines = done.stderr.strip().splitlines()
    message = (lines[-1] if lines else f"strop compress ended with status {done.returncode}").removeprefix("strop compress: ")
    if done.returncode == 2:
        raise InvalidArgument(message)
    if done.returncode in (130, -2, -15):
        raise Cancelled(message)
    raise Error(message)


def _result(raw: dict, report: str) -> Result:
    tried = [
        {"int8_layers": len(raw["layers"]) - len(attempt["float_layers"]), **attempt} for attempt in raw["attempts"]
    ]
    sign = -1 if raw["metric"] == "rmse" else 1

    def beaten(one):
        return any(
            other["int8_layers"] >= one["int8_layers"]
            and sign * other["quality"] >= sign * one["quality"]
            and (other["int8_layers"], other["quality"]) != (one["int8_layers"], one["quality"])
            for other in tried
        )

    return Result(
        model=raw["model"],
        metric=raw["metric"],
        baseline=raw["baseline"]["value"],
        quality=raw["quality"],
        interval=tuple(raw["interval"]),
        speedup=raw["speedup"],
        layers=raw["layers"],
        pareto=[one for one in tried if not beaten(one)],
        raw=raw,
        _report=report,
    )
