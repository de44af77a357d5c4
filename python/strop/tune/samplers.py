"""Who suggests the next trial, with options: Study(sampler=GPSampler(acquisition="ucb")). Without, a name will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strop import InvalidArgument, _tune

__all__ = ["AutoSampler", "CmaEsSampler", "GPSampler", "GridSampler", "RandomSampler", "Sampler", "SobolSampler",
           "TPESampler"]


@dataclass(frozen=True)
class Sampler:
    """What all share. The seed is the study's."""

    name: ClassVar[str] = ""

    def _make(self):
        return _tune.Sampler.named(self.name)


class AutoSampler(Sampler):
    """Chosen by what the study is like."""

    name = "auto"


class RandomSampler(Sampler):
    """Uniform, in the logarithm where `log`."""

    name = "random"


class CmaEsSampler(Sampler):
    """CMA-ES, for many cheap trials of numbers."""

    name = "cmaes"


class GridSampler(Sampler):
    """Every configuration in order, a continuous range in ten parts."""

    name = "grid"


class SobolSampler(Sampler):
    """Scrambled Sobol points (Optuna's QMCSampler)."""

    name = "sobol"


@dataclass(frozen=True)
class GPSampler(Sampler):
    """A Gaussian process. acquisition: log_ei; noisy_log_ei, for objectives with noise or many trials at once; or ucb,
    the confidence bound."""

    name = "gp"
    acquisition: str = "log_ei"

    def _make(self):
        return _tune.Sampler.gp(self.acquisition)


class TPESampler(Sampler):
    """The tree-structured Parzen estimator, for many trials and spaces of choices and conditions."""

    name = "tpe"


def make_sampler(sampler: str | Sampler):
    """The sampler of C++ that a name or an object stands for."""
    if isinstance(sampler, str):
        return _tune.Sampler.named(sampler)
    if isinstance(sampler, Sampler):
        return sampler._make()
    raise InvalidArgument(f"sampler {sampler!r}: expected a name, as 'auto', or an object of strop.tune.samplers")
