"""A timeline → what the rules find in it: of tensors, and of modules all of whose tensors have it at the same time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..nodes import Index, Tree
from ..reading.choose import row_steps
from ..rows import Ints
from ..store.cells import BAD, Grid
from ..store.timeline import Timeline
from .rules import LONG, RULES, SEVERITIES, Look, Mask, Rule, Severity

#: Cells of the whole run, and tensors × cells, that are looked at.
MAX_CELLS, MAX_VALUES = 512, 1 << 23
LEAVES_AT_ONCE = 1024
MAX_NOTES = 10_000
#: Tensors that a module must have to stand for them.
MODULE_TENSORS = 4


@dataclass(frozen=True)
class Finding:
    """What a rule found in a node, in the cells ``[first, last]`` of a grid of the whole run. ``skipped``: in each of
    them the optimizer skipped steps, but not most of them."""

    rule: Rule
    severity: Severity
    node: int
    first: int
    last: int
    skipped: bool


def whole_run(timeline: Timeline) -> Grid:
    """The rows of the finest level that has few enough of them, each a cell."""
    most = max(1, min(MAX_CELLS, MAX_VALUES // max(1, len(timeline.tree.leaf_order))))
    width = row_steps(timeline.cell, timeline.first, timeline.end, most, None)
    first = timeline.first // width
    return Grid(first * width, width, -(-timeline.end // width) - first)


def findings(timeline: Timeline, grid: Grid, most: int) -> tuple[list[Finding], bool]:
    """The gravest ``most``, earlier ones first, and whether these are all."""
    skips = scaled(timeline, grid)
    columns = [np.zeros((6, 0), np.int64)]
    for rule, mask in _masks(timeline, grid).items():
        if RULES[rule].kind in BAD and skips.any():
            columns.append(_intervals(timeline, grid, rule, mask & skips, True))
            mask &= ~skips
        columns.append(_intervals(timeline, grid, rule, mask, False))
        # One more than wanted tells that there are more; of tensors that come and go there may be millions.
        columns = [_gravest(np.concatenate(columns, axis=1), most + 1)]
    (found,) = columns
    chosen = [
        Finding(RULES[rule], SEVERITIES[grave], node, first, last, bool(skipped))
        for grave, first, rule, node, last, skipped in found[:, :most].T.tolist()
    ]
    return chosen, found.shape[1] <= most


def _gravest(found: Ints, most: int) -> Ints:
    """The first ``most`` of the findings ``[6, finding]``: by severity, first cell, rule and node."""
    rank, first, number, node, *_ = found
    chosen: Ints = found[:, np.lexsort((node, number, first, rank))[:most]]
    return chosen


def scaled(timeline: Timeline, grid: Grid) -> Mask:
    """``[cell]``: where a GradScaler skipped steps, but less than half of them.

    It raises the scale of the loss until gradients overflow, and then skips the step: elements that are not finite
    belong to that, unless it goes on and on.
    """
    notes, _ = timeline.notes(timeline.first, timeline.end, MAX_NOTES)
    places = [(note.step - grid.begin) // grid.width for note in notes if note.kind == "skipped"]
    skips = np.bincount(np.array(places, np.intp), minlength=grid.count)
    edges = np.clip(grid.edges, timeline.first, timeline.end)
    few: Mask = (skips > 0) & (2 * skips < np.diff(edges))
    return few


def _masks(timeline: Timeline, grid: Grid) -> dict[int, Mask]:
    """By number of the rule, where anything was found: ``[leaf, cell]``."""
    leaves = timeline.tree.leaf_nodes
    found: dict[int, Mask] = {}
    for start in range(0, len(leaves), LEAVES_AT_ONCE):
        some = slice(start, start + LEAVES_AT_ONCE)
        look = Look(timeline, leaves[some], grid)
        for number, rule in enumerate(RULES):
            mask = rule.found(look)
            if mask.any():
                found.setdefault(number, np.zeros((len(leaves), grid.count), np.bool_))[some] = mask
    return found


def _intervals(timeline: Timeline, grid: Grid, number: int, mask: Mask, skipped: bool) -> Ints:
    """Rank of the severity, first cell, number of the rule, node, last cell and whether the optimizer skipped steps
    there, of each finding: ``[6, finding]``."""
    node, first, last = grouped(timeline.tree, mask)
    rank = np.full(len(node), SEVERITIES.index("notice" if skipped else RULES[number].severity))
    if RULES[number].kind == "no_gradient":
        begin = np.maximum(grid.begin + first * grid.width, timeline.first)
        end = np.minimum(grid.begin + (last + 1) * grid.width, timeline.end)
        rank[end - begin < LONG] = SEVERITIES.index("notice")
    return np.stack([rank, first, np.full(len(node), number), node, last, np.full(len(node), skipped)])


def grouped(tree: Tree, mask: Mask) -> tuple[Index, Index, Index]:
    """Runs of consecutive cells in ``mask [leaf, cell]``: node, first and last cell of each. In a cell in which all
    tensors of a module have it, the outermost such module stands for them."""
    before = np.zeros((len(mask) + 1, mask.shape[1]), np.int32)
    np.cumsum(mask, axis=0, out=before[1:])
    told = np.zeros((len(tree), mask.shape[1]), np.bool_)  # of tensors inside, by the node or by one around it
    own = np.zeros_like(told)
    for node in np.flatnonzero(tree.stop - tree.start >= MODULE_TENSORS).tolist():  # parents stand before children
        start, stop, outer = tree.start[node], tree.stop[node], tree.parent[node]
        everywhere = before[stop] - before[start] == stop - start
        told[node] = everywhere
        own[node] = everywhere & ~told[outer] if outer >= 0 else everywhere
    for node in range(1, len(tree)):
        told[node] |= told[tree.parent[node]]
    leaves = tree.leaf_nodes
    own[leaves] = mask & ~told[leaves]
    return _runs(own)


def _runs(mask: Mask) -> tuple[Index, Index, Index]:
    """Row, first and last column of each run of consecutive columns."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).view(np.int8), axis=1)
    row, first = np.nonzero(edges == 1)
    _, behind = np.nonzero(edges == -1)
    return row, first, behind - 1
