"""Search for parameters: spaces, studies, and the trainer's end of a trial (docs/tune.md, docs/trial.md)."""

from strop.tune.client import trial

__all__ = ["Choice", "Exhausted", "Float", "Int", "Space", "Study", "TrialPruned", "trial"]

_HOMES = {"Choice": "space", "Float": "space", "Int": "space", "Space": "space",
          "Exhausted": "study", "Study": "study", "TrialPruned": "study"}


def __getattr__(name):
    # A trainer needs trial() alone, which needs no extension.
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"strop.tune.{_HOMES[name]}"), name)
    if name in ("integrations", "samplers"):
        import importlib

        return importlib.import_module(f"strop.tune.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
