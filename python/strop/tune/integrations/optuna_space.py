"""The search space of a define-by-run study, learnt from its trials.

An Optuna objective says what it asks for only while it runs. Seen over all trials, the parameters form a union, and
some of them are there only under conditions. Those are learnt: a parameter that some finished trial lacked is active
where earlier choices or whole numbers have the values that they had in every trial with it. `n_units_l2`, asked for
where `n_layers` >= 3, so is known to be idle elsewhere. A rule that the trials do not bear out is not made: then the
parameter counts as always active. A rule too narrow is found out by the next trial that asks for the parameter.

A condition of Strop's spaces is one value of one choice. A parent with wider conditions, {2, 3} and {3} of n_layers,
becomes a tree of choices: first {1} or {2, 3}, then, within the latter, {2} or {3}.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from strop.tune.space import Choice, Float, Int, Space

_MAX_PARENT_VALUES = 32  # of a whole number that others may depend on


@dataclass(frozen=True)
class SeenTrial:
    """What one trial asked for: values (of choices: their index) in the order of asking. Only where it ran to its end
    does it tell what it did without. `unused` are values that were suggested to it and that it did not ask for."""

    values: dict[str, float]
    complete: bool
    unused: dict[str, float] = field(default_factory=dict)


def union_distribution(seen, new):
    """The range that holds both, or None where there is none: steps that do not meet."""
    if seen == new:
        return seen
    if type(seen) is not type(new) or isinstance(seen, CategoricalDistribution) or seen.log != new.log:
        return None
    low, high = min(seen.low, new.low), max(seen.high, new.high)
    if seen.step != new.step or (seen.step and not _whole((seen.low - new.low) / seen.step)):
        return None
    return type(seen)(low, high, log=seen.log, step=seen.step)


def _whole(x: float) -> bool:
    return abs(x - round(x)) < 1e-9


def union_space(trials) -> dict:
    """The parameters of Optuna's trials, each with the range that holds all its ranges. Those without one are left
    out, and so are those with one value."""
    union = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            known = union.get(name, distribution)
            union[name] = known and union_distribution(known, distribution)
    return {name: distribution for name, distribution in union.items() if distribution and not distribution.single()}


@dataclass(frozen=True)
class Rule:
    """A parameter is idle where the parent is idle or has none of these values (by index)."""

    parent: str
    values: frozenset[int]


def _parent_values(distribution) -> int:
    """How many values a parent has; 0: it is none."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        count = (distribution.high - distribution.low) // distribution.step + 1
        return count if count <= _MAX_PARENT_VALUES else 0
    return 0


def _index(distribution, value) -> int:
    if isinstance(distribution, CategoricalDistribution):
        return int(value)
    return round((value - distribution.low) / distribution.step)


def learn_rules(distributions: dict, trials: list[SeenTrial]) -> dict[str, list[Rule]]:
    """For every parameter, in the order of being asked for, the rules that hold in all trials and leave the fewest
    without it unexplained; of equally good parents, that which was asked for first."""
    order = list(dict.fromkeys(name for trial in trials for name in trial.values if name in distributions))
    complete = np.array([trial.complete for trial in trials], dtype=bool)
    parents: dict[str, np.ndarray] = {}
    rules = {}
    for name in order:
        present = np.array([name in trial.values for trial in trials], dtype=bool)
        rules[name] = _rules_of(present, complete & ~present, parents, distributions)
        if _parent_values(distributions[name]) > 1:
            parents[name] = np.array([_index(distributions[name], trial.values[name]) if name in trial.values else -1
                                      for trial in trials])
    return rules


def _rules_of(present, absent, parents, distributions) -> list[Rule]:
    rules = []
    while absent.any():
        best, explained = None, np.zeros_like(absent)
        for parent, indices in parents.items():
            values = np.unique(indices[present])
            if not len(values) or values[0] < 0:
                continue
            if isinstance(distributions[parent], IntDistribution):
                values = np.arange(values[0], values[-1] + 1)
            without = absent & ~np.isin(indices, values)
            if without.sum() > explained.sum():
                best, explained = Rule(parent, frozenset(values.tolist())), without
        if best is None:
            break
        rules.append(best)
        absent = absent & ~explained
    return rules


class _Node:
    """A part of a parent's values: one choice among its branches, or, where nothing depends on its parts, a range or
    choice of the values themselves."""

    def __init__(self, name, values, branches):
        self.name = name
        self.values = values
        self.branches = branches  # sets of values
        self.children = {}        # by the number of a branch of several values

    @property
    def nodes(self):
        yield self
        for child in self.children.values():
            yield from child.nodes


def _grow(name: str, values: frozenset[int], sets: list[frozenset[int]], ordered: bool) -> _Node:
    """`sets` are nested or apart."""
    inner = [s for s in sets if s < values]
    largest = [s for s in inner if not any(s < other for other in inner)]
    if not largest:
        return _Node(name, values, [])
    rest = sorted(values.difference(*largest))
    parts = [[value] for value in rest[:1]]
    for value in rest[1:]:
        if ordered and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    node = _Node(name, values, sorted([*largest, *map(frozenset, parts)], key=min))
    for i, branch in enumerate(node.branches):
        if len(branch) > 1:
            node.children[i] = _grow(f"{name}.{i}", branch, inner, ordered)
    return node


def _nested(sets: list[frozenset[int]]) -> list[frozenset[int]]:
    """Those that can be kept so that any two are nested or apart; what most parameters want goes first."""
    kept = []
    for one in sorted(dict.fromkeys(sets), key=lambda s: (-sets.count(s), len(s), sorted(s))):
        if all(one <= other or other <= one or not one & other for other in kept):
            kept.append(one)
    return kept


class LearntSpace:
    """Between Optuna's values, by name, and a Strop space. Parameters of the latter are named by their place, as 0003,
    and the parts of parents below them, as 0003.1."""

    def __init__(self, distributions: dict, trials: list[SeenTrial]):
        self.distributions = distributions
        rules = learn_rules(distributions, trials)
        self._trees = {}
        names = [*rules, *(name for name in distributions if name not in rules)]
        for place, name in enumerate(names):
            wanted = [rule.values for of in rules.values() for rule in of if rule.parent == name]
            every = frozenset(range(_parent_values(distributions[name]))) if wanted else frozenset()
            sets = _nested([values for values in wanted if values < every])
            ordered = isinstance(distributions[name], IntDistribution)
            self._trees[name] = _grow(f"{place:04}", every, sets, ordered)
        parameters, self.conditions = {}, {}
        for name in names:
            when = {}
            for rule in rules.get(name, []):
                when.update(self._when(rule))
            self.conditions[name] = when
            self._declare(name, when, parameters)
        self.space = Space(parameters)

    def _when(self, rule: Rule) -> dict:
        tree = self._trees[rule.parent]
        if rule.values == tree.values:  # active where the parent is
            return self.conditions[rule.parent]
        for node in tree.nodes:
            if rule.values in node.branches:
                return {node.name: node.branches.index(rule.values)}
        return {}  # it was not nested with what others want

    def _declare(self, name, when, parameters):
        conditions = {self._trees[name].name: when}
        for node in self._trees[name].nodes:
            parameters[node.name] = self._domain(self.distributions[name], node, conditions[node.name])
            for i, child in node.children.items():
                conditions[child.name] = {node.name: i}

    @staticmethod
    def _domain(distribution, node, when):
        if node.branches:
            return Choice(list(range(len(node.branches))), when)
        if isinstance(distribution, CategoricalDistribution):
            return Choice(sorted(node.values) or list(range(len(distribution.choices))), when)
        low, high = distribution.low, distribution.high
        if isinstance(distribution, FloatDistribution):
            return Float(low, high, distribution.log, distribution.step, when)
        if node.values:
            low, high = low + min(node.values) * distribution.step, low + max(node.values) * distribution.step
        return Int(low, high, distribution.log, distribution.step, when)

    def encode(self, values: dict) -> dict:
        """The parameters of the Strop space; unknown names are passed over."""
        params = {}
        for name, value in values.items():
            if name in self._trees:
                self._encode(self._trees[name], self.distributions[name], value, params)
        return params

    @staticmethod
    def _encode(node, distribution, value, params):
        while node is not None and node.branches:
            index = _index(distribution, value)
            branch = next((i for i, values in enumerate(node.branches) if index in values), None)
            if branch is None:
                return
            params[node.name] = branch
            node = node.children.get(branch)
            if node is None:
                return
        params[node.name] = value if isinstance(distribution, FloatDistribution) else int(value)

    def decode(self, params: dict) -> dict:
        """The values of the parameters that are active."""
        values = {}
        for name, tree in self._trees.items():
            if tree.name in params:
                values[name] = self._decode(tree, self.distributions[name], params)
        return values

    @staticmethod
    def _decode(node, distribution, params):
        while node.branches:
            branch = params[node.name]
            if branch not in node.children:
                (index,) = node.branches[branch]
                return index if isinstance(distribution, CategoricalDistribution) else (
                    distribution.low + index * distribution.step)
            node = node.children[branch]
        return params[node.name]
