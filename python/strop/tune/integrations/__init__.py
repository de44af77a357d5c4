"""Strop's search in other libraries. Each is imported when it is asked for, and names what it needs."""

import importlib

__all__ = ["OptunaSampler", "StropSearchCV"]

# The class: its module, and what it stands on: the package and what pip calls it.
_HOMES = {"OptunaSampler": ("optuna_sampler", "optuna", "optuna"),
          "StropSearchCV": ("sklearn_search", "sklearn", "scikit-learn")}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, package, wheel = _HOMES[name]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(f"{__name__}.{name} needs {wheel}, which is not installed: pip install {wheel}",
                          name=package) from None
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
