"""Reads rows into aligned batches, in a deterministic order, by threads that never touch the interpreter.

    loader = strop.feed.Loader("train/*.parquet", batch_size=256, shuffle=True)
    for batch in loader:
        batch["image"], batch["label"]
"""

import json
import operator
import os

from strop import FailedPrecondition, InvalidArgument
from strop import _feed

__all__ = ["Loader", "Source", "Transform", "serve"]

_FORMATS = ("torch", "numpy", "arrow", "dlpack")


def _whole(name, value, bits=31, least=None):
    """A whole number that C++ can hold; what it means there is for C++ to say."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or not (-(1 << bits) if least is None else least) <= number < 1 << bits:
        begin = "" if least is None else f"from {least} and "
        raise InvalidArgument(f"{name} is {value!r}: expected a whole number {begin}below 2**{bits}")
    return number


def _number(name, value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{name} is {value!r}: expected a number") from None


def _text(name, value):
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} is {value!r}: expected a text")
    return value


def _names(columns):
    if columns is None:
        return []
    try:
        names = [columns] if isinstance(columns, str) else list(columns)
    except TypeError:
        names = [None]
    if not all(isinstance(name, str) for name in names):
        raise InvalidArgument(f"columns is {columns!r}: expected names")
    return names


def _from_environment(value, name, default):
    if value != "auto":
        return _whole(name.lower(), value)
    text = os.environ.get(name, default)
    try:
        return _whole(f"the environment variable {name}", int(text))
    except ValueError:
        raise InvalidArgument(f"the environment variable {name} is {text!r}: expected a whole number") from None


def _automatic(name, value):
    return 0 if value == "auto" else _whole(name, value)


class Transform:
    """A transform of one column, done by the reader threads: Transform("image", "resize", height=224, width=224). The
    names and their options are listed in docs/feed.md."""

    def __init__(self, column, name, **options):
        self.column, self.name, self.options = column, name, options

    def __repr__(self):
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"Transform({self.column!r}, {self.name!r}{options})"

    def _spec(self):
        return {"column": self.column, "name": self.name, **self.options}


class Source:
    """One source of a mixture: a path or glob, or a list of them; its weight (its share of the rows, relative to the
    other sources'); and transforms of its own, before the loader's."""

    def __init__(self, uri, weight=0.0, transforms=()):
        self.uris = [os.fsencode(one) for one in (uri if isinstance(uri, (list, tuple)) else [uri])]
        self.weight = _number("weight", weight)
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not isinstance(transform, Transform):
                raise InvalidArgument(f"transforms of a source hold {transform!r}: expected strop.feed.Transform")


def _gpu(device):
    """The number of the GPU that a device names, -1 for none."""
    kind, _, index = str(device).partition(":")
    return int(index or 0) if kind == "cuda" else -1


def _sources(source):
    """The sources of what Loader was given."""
    if isinstance(source, Source):
        return [source]
    several = isinstance(source, (list, tuple))
    if several and any(isinstance(one, Source) for one in source):
        return [one if isinstance(one, Source) else Source(one) for one in source]
    return [Source(source)]


class Loader:
    """Iterates an epoch of batches: dicts of tensors, or pyarrow.RecordBatch with format="arrow".

    The line of rows depends on the source, shuffle, order, seed and window, and what a rank takes of it on rank, world_size,
    batch_size, uneven and drop_last; never on workers, prefetch or timing. Every `for` is one epoch and the next one
    follows; `set_epoch` chooses.

    source      a path, a glob, a list of them, grpc://HOST:PORT/NAME of a service, or a list of Source: a mixture
    rank, world_size  "auto": RANK and WORLD_SIZE, as torchrun sets them, else 0 and 1
    columns     names; None: every column with a dense form
    transforms  Transform of a column, done by the reader threads row by row; then functions, called in turn on each
                batch in the thread that iterates: each answers the batch that goes on
    workers, prefetch  reader threads, and batches ready ahead; "auto": by the CPUs that the process may use
    uneven      "repeat" rows so that ranks take equal steps, "drop" the remainder, or leave them "ragged"
    on_error    "stop", or "skip": a row group that cannot be read is replaced by the next one that can
    format      "torch" and "numpy" share the batch's memory; "dlpack" objects speak DLPack and the buffer protocol
    device      where torch tensors go; pin_memory lets them go asynchronously
    order       how far a shuffle reaches: "block" mixes the rows of `window` row groups, "global" all rows (uncompressed
                Arrow IPC files of fixed-width columns)
    window      row groups that are shuffled together in block order
    trace       share of the batches whose stages are kept for save_trace and send_trace
    """

    def __init__(self, source, *, batch_size=256, shuffle=False, seed=0, rank="auto", world_size="auto", columns=None,
                 transforms=(), workers="auto", prefetch="auto", drop_last=False, uneven="repeat", on_error="stop",
                 format="torch", device=None, pin_memory=False, order="block", window=8, trace=0.01):
        if format not in _FORMATS:
            raise InvalidArgument(f"format is {format!r}: expected one of {', '.join(_FORMATS)}")
        self._device = None if device is None or str(device) == "cpu" else device
        self._pin_memory = bool(pin_memory)
        if (self._device or self._pin_memory) and format != "torch":
            raise InvalidArgument(f'device and pin_memory are for format="torch", not {format!r}')
        named = [transform for transform in transforms if isinstance(transform, Transform)]
        self._transforms = list(transforms)[len(named):]
        for transform in self._transforms:
            if isinstance(transform, Transform):
                raise InvalidArgument(f"{transform!r} comes after a function: the readers' transforms come first")
            if not callable(transform):
                raise InvalidArgument(f"transforms holds {transform!r}: expected strop.feed.Transform or functions of a "
                                      "batch")
        self._format = format
        self._convert = None
        if format == "torch":
            import torch

            # What torch.from_dlpack calls for a capsule, which is all that comes here: a table of 30 columns feels it.
            self._convert = getattr(torch._C, "_from_dlpack", torch.from_dlpack)
        elif format == "arrow":
            import pyarrow

            self._convert = pyarrow.record_batch
        sources = [(one.uris, one.weight, _specs(one.transforms + named)) for one in _sources(source)]
        self._core = _feed.Core(sources, _names(columns), _whole("batch_size", batch_size, 63), bool(shuffle),
                                _text("order", order), _whole("seed", seed, 64, 0), _whole("window", window),
                                _from_environment(rank, "RANK", "0"), _from_environment(world_size, "WORLD_SIZE", "1"),
                                _text("uneven", uneven), _automatic("workers", workers),
                                _automatic("prefetch", prefetch), bool(drop_last), _text("on_error", on_error),
                                _gpu(self._device), _number("trace", trace))
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
        epoch = _whole("epoch", epoch, 64, 0)
        if not (self._restored and self._core.epoch == epoch):
            self._restored = False
            self._core.set_epoch(epoch)

    def state_dict(self):
        return json.loads(self._core.state())

    def load_state_dict(self, state):
        """The next `for` goes on with the batch that would have come next. The number of workers may differ. So may
        world_size, batch_size, uneven and drop_last: then the ranks together go on with the rows that were not given
        out yet, and len() counts the batches of that rest until the next epoch."""
        try:
            text = json.dumps(state)
        except TypeError:
            raise InvalidArgument(f"{type(state).__name__} is not a loader state: expected what state_dict gave") from None
        self._core.restore(text)
        self._restored = True

    def stats(self):
        """Seconds (p50, p95, p99) a row group spends in read and decode and copy, and a batch is waited for; the share
        of the consumer's time that was waiting; how many values of which columns are NaN ("nans"); and a sentence that
        names what bounds the speed."""
        return self._core.stats()

    def set_trace(self, share):
        """Changes `trace` for the batches to come."""
        self._core.set_trace(_number("trace", share))

    def save_trace(self, path):
        """Writes the spans of the traced batches for ui.perfetto.dev."""
        self._core.save_trace(os.fsencode(path))

    def send_trace(self, url):
        """Sends them to an OpenTelemetry collector: OTLP in JSON, as to http://127.0.0.1:4318/v1/traces."""
        self._core.send_trace(url)

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


def _specs(transforms):
    try:
        return json.dumps([transform._spec() for transform in transforms])
    except TypeError as error:
        raise InvalidArgument(f"a transform's options are numbers, texts and lists of them: {error}") from None


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
