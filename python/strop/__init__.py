"""Strop keeps a model sharp: it feeds training, tunes, compresses, serves and watches.

Importing it loads neither torch nor pyarrow nor NumPy; each part loads when it is first used.
"""

import importlib

__version__ = "0.1.0"
__all__ = ["compress", "engine", "feed", "serve", "trial", "tune", "watch"]

_SUBMODULES = {"compress", "engine", "feed", "serve", "tune", "watch"}


class Error(Exception):
    """What every part of Strop raises. `code` is stable: the same word in JSON and on the wire."""

    code = "internal"


class InvalidArgument(Error, ValueError):
    code = "invalid_argument"


class NotFound(Error, FileNotFoundError):
    code = "not_found"


class AlreadyExists(Error, FileExistsError):
    code = "already_exists"


class Corrupt(Error, ValueError):
    code = "corrupt"


class Unsupported(Error, NotImplementedError):
    code = "unsupported"


class FailedPrecondition(Error, RuntimeError):
    code = "failed_precondition"


class Unavailable(Error, ConnectionError):
    code = "unavailable"


class Timeout(Error, TimeoutError):
    code = "timeout"


class Cancelled(Error):
    code = "cancelled"


class Io(Error, OSError):
    code = "io"


class Internal(Error, RuntimeError):
    code = "internal"


_errors = {c.code: c for c in Error.__subclasses__()}


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "trial":
        from strop.tune import trial

        return trial
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
