"""The trainer's end of the trial protocol (docs/trial.md). Pure Python: a trainer needs nothing built."""

from __future__ import annotations

import atexit
import json
import math
import os
import socket
import sys
import time
from pathlib import Path

import strop

VERSION = 1

_trial = None


class Data(dict):
    """The rows to train on, by name: data["train"] or data.train; None where there are none."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no rows named {name!r}: there are {', '.join(self)}") from None


class Trial:
    """What one training run is to do, and whom it tells.

    params: dict of parameters; data: paths of rows (Data); budget: in the trainer's own unit (epochs, steps, …);
    deadline: Unix seconds or None; checkpoint: file or folder to go on from, or None; seed; number; out_dir: an
    existing folder for what the trainer makes.
    """

    def __init__(self, number, params, data, budget, deadline, checkpoint, seed, out_dir, metric):
        self.number = number
        self.params = params
        self.data = data
        self.budget = budget
        self.deadline = deadline
        self.checkpoint = checkpoint
        self.seed = seed
        self.out_dir = Path(out_dir).absolute()
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self.metric = metric
        self._stop = False
        self._done = False
        self._metrics = {}
        self._model = None
        self._checkpoint = None
        self._unsent_checkpoint = None

    def report(self, value: float | None = None, step: int = 0, **metrics: float) -> None:
        """Tells how good step `step` is; `value` is the metric that the study looks at, others go by name."""
        if value is not None:
            metrics[self.metric] = value
        if not metrics:
            raise strop.InvalidArgument("report(): expected a value or named metrics")
        if self._done:
            raise strop.FailedPrecondition("report(): the trial is already done")
        self._metrics.update({name: float(number) for name, number in metrics.items()})
        self._send_report(int(step), {name: self._metrics[name] for name in metrics}, self._unsent_checkpoint)
        self._unsent_checkpoint = None

    def should_stop(self) -> bool:
        """Whether the trainer is asked to end, or its deadline has passed. What it reported then counts."""
        return self._stop or (self.deadline is not None and time.time() >= self.deadline)

    should_prune = should_stop

    def save(self, model=None, checkpoint=None) -> None:
        """Names the model that was trained, or a checkpoint from which this trial could go on (sent with the next
        report). Relative paths are below out_dir."""
        if model is not None:
            self._model = self._existing(model, "model")
        if checkpoint is not None:
            self._checkpoint = self._unsent_checkpoint = self._existing(checkpoint, "checkpoint")

    def done(self) -> None:
        """The last word; sent by itself when the process ends. Only a process that ends with status 0 counts."""
        if not self._done:
            self._done = True
            self._send_done()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.done()

    def _existing(self, path, what):
        path = (self.out_dir / path).absolute()
        if not path.exists():
            raise strop.NotFound(f"save({what}=): {path} is not there")
        return str(path)


def _finite(metrics):
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


class _Connected(Trial):
    """Speaks with strop tune."""

    def __init__(self, path, defaults):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            raise strop.Unavailable(f"STROP_TRIAL={path}: nothing listens there ({error.strerror}); unset it to run "
                                    "by hand") from None
        self._lines = self._socket.makefile("r", encoding="utf-8")
        start = self._receive()
        if start.get("version", 0) > VERSION:
            raise strop.Unsupported(f"trial protocol version {start['version']}: this strop package speaks {VERSION}")
        super().__init__(start["trial"], {**defaults, **start["params"]}, Data(start["data"]), start["budget"],
                         start.get("deadline"), start.get("from"), start["seed"], start["out_dir"],
                         start.get("metric", "value"))

    def _receive(self):
        line = self._lines.readline()
        if not line:
            raise strop.Unavailable("strop tune has closed the trial's socket")
        message = json.loads(line)
        if message["type"] == "error":
            raise strop.InvalidArgument(message["message"])
        return message

    def _send(self, message):
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise strop.Unavailable(f"strop tune is gone ({error.strerror})") from None

    def _send_report(self, step, metrics, checkpoint):
        message = {"type": "report", "step": step, "metrics": _finite(metrics)}
        if checkpoint:
            message["checkpoint"] = checkpoint
        self._send(message)
        self._stop = self._receive()["type"] == "stop" or self._stop

    def _send_done(self):
        message = {"type": "done", "metrics": _finite(self._metrics)}
        if self._model:
            message["model"] = self._model
        if self._checkpoint:
            message["checkpoint"] = self._checkpoint
        self._send(message)


class _Alone(Trial):
    """A script run by hand: its parameters are the defaults, changed by --name=value or --name value."""

    def __init__(self, defaults, arguments):
        given = dict(_options(arguments))
        params = {name: _like(name, given[name], default) if name in given else default
                  for name, default in defaults.items()}
        data = Data(train=given.get("train") or given.get("data"), validation=given.get("validation"))
        super().__init__(0, params, data, _like("budget", given.get("budget", "1"), 1.0), None,
                         given.get("checkpoint"), _like("seed", given.get("seed", "0"), 0),
                         given.get("out_dir", "."), "value")

    def _send_report(self, step, metrics, checkpoint):
        print(f"step {step} " + " ".join(f"{name}={value:.6g}" for name, value in metrics.items()), flush=True)

    def _send_done(self):
        if self._model:
            print(f"model {self._model}", flush=True)


def _options(arguments):
    name = None
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            name = name.replace("-", "_")
            if equals:
                yield name, value
                name = None
        elif name is not None:
            yield name, argument
            name = None


def _like(name, text, default):
    """The text as a value of the default's type."""
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if isinstance(default, (int, float)):
            return type(default)(text)
    except (KeyError, ValueError):
        raise strop.InvalidArgument(f"--{name}={text}: expected {type(default).__name__}") from None
    return text


def trial(defaults: dict | None = None) -> Trial:
    """The trial that this process is to run; the same one at every call.

    Under `strop tune` it comes from there. Otherwise, so that the script also runs by hand, its parameters are
    `defaults`, changed by --name=value on the command line, with --train, --validation, --budget, --seed and
    --out_dir beside them. `defaults` also fills in parameters that are inactive.
    """
    global _trial
    if _trial is None:
        path = os.environ.get("STROP_TRIAL")
        _trial = _Connected(path, defaults or {}) if path else _Alone(defaults or {}, sys.argv[1:])
        atexit.register(_end, _trial)
    return _trial


def _end(last):
    try:
        last.done()
    except strop.Error as error:
        print(f"strop.trial: {error}", file=sys.stderr)
