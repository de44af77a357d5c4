"""Reads rows into aligned batches, in a deterministic order, by threads that never touch the interpreter.

    loader = strop.feed.Loader("train/*.parquet", batch_size=256, shuffle=True)
    for batch in loader:
        batch["image"], batch["label"]
"""

import json
import os

from strop import FailedPrecondition, InvalidArgument
from strop import _feed

__all__ = ["Loader", "serve"]

_FORMATS = ("torch", "numpy", "arrow", "dlpack")


def _from_environment(value, name, default):
    if value != "auto":
        return int(value)
    text = os.environ.get(name, default)
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"the environment variable {name} is {text!r}: expected a whole number") from None


def _automatic(value):
    return 0 if value == "auto" else int(value)


class Loader:
    """Iterates an epoch of batches: dicts of tensors, or pyarrow.RecordBatch with format="arrow".

    The order of rows depends on the source, batch_size, shuffle, seed, window, rank, world_size, uneven and drop_last,
    never on workers, prefetch or timing. Every `for` is one epoch and the next one follows; `set_epoch` chooses.

    source      a path, a glob, or grpc://HOST:PORT/NAME of a service
    rank, world_size  "auto": RANK and WORLD_SIZE, as torchrun sets them, else 0 and 1
    columns     names; None: every column with a dense form
    transforms  called in turn on each batch; each answers the batch that goes on
    workers, prefetch  reader threads, and batches ready ahead; "auto": by the CPUs that the process may use
    uneven      "repeat" rows so that ranks take equal steps, "drop" the remainder, or leave them "ragged"
    on_error    "stop", or "skip": a row group that cannot be read is replaced by the next one that can
    format      "torch" and "numpy" share the batch's memory; "dlpack" objects speak DLPack and the buffer protocol
    device      where torch tensors go; pin_memory lets them go asynchronously
    window      row groups that are shuffled together
    """

    def __init__(self, source, *, batch_size=256, shuffle=False, seed=0, rank="auto", world_size="auto", columns=None,
                 transforms=(), workers="auto", prefetch="auto", drop_last=False, uneven="repeat", on_error="stop",
                 format="torch", device=None, pin_memory=False, window=8):
        if format not in _FORMATS:
            raise InvalidArgument(f"format is {format!r}: expected one of {', '.join(_FORMATS)}")
        self._device = None if device is None or str(device) == "cpu" else device
        self._pin_memory = bool(pin_memory)
        if (self._device or self._pin_memory) and format != "torch":
            raise InvalidArgument(f'device and pin_memory are for format="torch", not {format!r}')
        self._transforms = list(transforms)
        for transform in self._transforms:
            if not callable(transform):
                raise InvalidArgument(f"transforms holds {transform!r}: expected functions of a batch")
        self._format = format
        self._convert = None
        if format == "torch":
            import torch

            self._convert = torch.from_dlpack
        elif format == "arrow":
            import pyarrow

            self._convert = pyarrow.record_batch
        if isinstance(columns, str):
            columns = [columns]
        self._core = _feed.Core(os.fspath(source), list(columns or ()), batch_size, bool(shuffle), seed, window,
                                _from_environment(rank, "RANK", "0"), _from_environment(world_size, "WORLD_SIZE", "1"),
                                uneven, _automatic(workers), _automatic(prefetch), bool(drop_last), on_error)
        self._process = os.getpid()
        self._restored = False
        self._iteration = 0

    def __iter__(self):
        self._check_process()
        if not self._restored and self._core.position > 0:
            self._core.set_epoch(self._core.epoch + 1)  # the last epoch was left early
        self._restored = False
        self._iteration += 1
        return self._batches(self._iteration)

    def __len__(self):
        return self._core.batches

    @property
    def rows(self):
        """Rows of the source, of all ranks."""
        return self._core.rows

    @property
    def columns(self):
        return self._core.columns

    def set_epoch(self, epoch):
        """The next `for` is this epoch, from its first batch; or, right after load_state_dict of this very epoch, from
        where the state stands, so that `for epoch in range(start, n): loader.set_epoch(epoch)` resumes."""
        if not (self._restored and self._core.epoch == epoch):
            self._restored = False
            self._core.set_epoch(epoch)

    def state_dict(self):
        return json.loads(self._core.state())

    def load_state_dict(self, state):
        """The next `for` goes on with the batch that would have come next. The number of workers may differ."""
        try:
            text = json.dumps(state)
        except TypeError:
            raise InvalidArgument(f"{type(state).__name__} is not a loader state: expected what state_dict gave") from None
        self._core.restore(text)
        self._restored = True

    def stats(self):
        """Seconds (p50, p95, p99) a row group spends in read and decode and copy, and a batch is waited for; the share
        of the consumer's time that was waiting; and a sentence that names what bounds the speed."""
        return self._core.stats()

    def _check_process(self):
        if os.getpid() != self._process:
            raise FailedPrecondition("the loader was made before a fork, and its threads did not come along: "
                                     "make it in the process that reads")

    def _batches(self, iteration):
        pull, format = self._core.next, self._format
        convert = self._convert if format == "torch" else None
        while True:
            if iteration != self._iteration:
                raise FailedPrecondition("a newer iteration of this loader began: one at a time, or one loader each")
            batch = pull(format, convert)
            if batch is None:
                return
            if format == "arrow":
                batch = self._convert(batch)
            elif self._device is not None or self._pin_memory:
                batch = {name: self._move(tensor) for name, tensor in batch.items()}
            for transform in self._transforms:
                batch = transform(batch)
            yield batch

    def _move(self, tensor):
        if self._pin_memory:
            tensor = tensor.pin_memory()
        return tensor if self._device is None else tensor.to(self._device, non_blocking=self._pin_memory)


def serve(sources, location="grpc://127.0.0.1:0", name=None):
    """Serves a source, or a dict of name -> source, by Arrow Flight. The service ends with `stop()`, its `with` block or
    its last reference. A single source is named `name`, else after its file or folder: "train" for train.parquet and
    for train/*.parquet."""
    if not isinstance(sources, dict):
        source = os.fspath(sources)
        sources = {name or _feed.source_name(source): source}
    elif name is not None:
        raise InvalidArgument("name is for a single source; a dict names its own")
    return _feed.serve({key: os.fspath(value) for key, value in sources.items()}, location)
