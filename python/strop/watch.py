"""Drift of what a model is given, and which rows are worth a label."""

from strop import _watch

__all__ = ["ActivationShift", "Mmd", "Verdict", "select", "uncertainty"]

# What update answers: .score, .threshold, .drift, .evidence (a dict of numbers), .to_json().
Verdict = _watch.Verdict


class Mmd:
    """Squared maximum mean discrepancy between a reference and windows of rows, by random Fourier features.

    reference and the rows given to update are arrays [rows, ...] of one dtype and row shape (NumPy, torch, or another
    that speaks DLPack). A window is drift when its score is above the threshold, which lies where rows without drift
    come once in false_alarm_rows rows. uint8 is scaled to [0, 1]; bring other columns to comparable scales.
    """

    _name = "input"

    def __init__(self, reference, *, false_alarm_rows=100_000, window=200, features=512, seed=0):
        self._detector = _watch.mmd(self._name, reference, false_alarm_rows, window, features, seed)

    @property
    def name(self):
        return self._detector.name

    def update(self, rows):
        """Rows gather until a window is full; until then, the verdict is that of the last full window."""
        return self._detector.update(rows)


class ActivationShift(Mmd):
    """Mmd on the activations of a layer, as strop.engine.Session(taps=[...]) answers them, rather than on inputs."""

    _name = "activation"


def select(probabilities, k=100, strategy="entropy", *, seed=0):
    """Indexes of the k rows [rows, classes] whose labels are worth most, best first: entropy, margin or random."""
    return _watch.select(probabilities, k, strategy, seed)


def uncertainty(probabilities, strategy="entropy"):
    """How unsure each row is, from 0 to 1: entropy or margin."""
    return _watch.uncertainty(probabilities, strategy)
