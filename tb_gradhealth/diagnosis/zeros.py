"""Shares of zeros by the bands that are published for them, once what is zero by design is taken off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..nodes import Tree
from ..rows import Floats
from .memory import Memory
from .row import Tensors
from .rule import Rule, View
from .rules.gradient_zeros import RULE
from .signals import Signals
from .structure import parameters, zero_share

#: Below this share a gradient counts as healthy; above the threshold of the rule, 10 % or what is published for a
#: component, as critical. Hints both: of healthy runs three in four cross them.
ALERT = 0.05
#: Names of what a share may be marked as.
MARKS = ("", "alert", "critical", "by design")


@dataclass(frozen=True)
class Bands:
    """``limit [node]``: the share above which a node is critical. Of tensors: ``size``, the share that is zero
    ``by_design``, and which are ``excused``, since any of their elements may be."""

    tree: Tree
    limit: Floats
    size: Floats
    by_design: Floats
    excused: Floats

    def judged(self, shares: Floats) -> Floats:
        """Of ``shares [node]`` what is not by design: ``[node]``, NaN for nodes of which nothing else is known."""
        excess = np.maximum(shares[self.tree.leaf_nodes] - self.by_design, 0.0) + self.excused
        there = ~np.isnan(excess)
        total = np.concatenate([[0.0], np.cumsum(np.where(there, excess, 0.0) * self.size)])
        size = np.concatenate([[0.0], np.cumsum(np.where(there, self.size, 0.0))])
        start, stop = self.tree.start, self.tree.stop
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = (total[stop] - total[start]) / (size[stop] - size[start])
        return found

    def marks(self, shares: Floats) -> list[str]:
        """One of :data:`MARKS` for each node."""
        judged = self.judged(shares)
        found = np.where(shares > ALERT, MARKS[3], MARKS[0])
        found = np.where(judged > ALERT, MARKS[1], found)
        marks: list[str] = np.where(judged > self.limit, MARKS[2], found).tolist()
        return marks


def bands(tree: Tree, tensors: Tensors, rules: Sequence[Rule]) -> Bands:
    """For the nodes of ``tree``, whose leaves are ``tensors``; thresholds as ``rules`` have them."""
    rule = next((one for one in rules if one.name == RULE.name), RULE)
    about = parameters(tensors)
    share = np.array([zero_share(name) for name in tensors.names], np.float64)
    excused = [bool(why) and not share for why, share in zip(about.innocent, share.tolist(), strict=True)]
    return Bands(
        tree,
        View(Signals(), Memory(), rule.thresholds, rule.patterns).by_node("share", tuple(tree.names)),
        np.array([np.prod(shape) for shape in tensors.shapes], np.float64),
        share,
        np.where(excused, np.nan, 0.0),
    )
