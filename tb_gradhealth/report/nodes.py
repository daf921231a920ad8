"""Which nodes a figure shows."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from ..nodes import Index, Tree


def overview(tree: Tree, most: int) -> list[list[int]]:
    """At most ``most`` groups of nodes, in model order, that hold each tensor once. Modules are opened, those with most
    tensors first, as long as there is room; of more siblings than that consecutive ones are taken together."""
    children: dict[int, list[int]] = {}
    for node in range(1, len(tree)):
        children.setdefault(int(tree.parent[node]), []).append(node)
    shown = [[0]]
    closed = [(0, 0)] if children else []  # a heap of modules: tensors, negative, and node
    while closed:
        _, largest = heapq.heappop(closed)
        inside, room = children[largest], most - len(shown) + 1
        if len(inside) <= room:
            opened = [[node] for node in inside]
            for node in inside:
                if node in children:
                    heapq.heappush(closed, (int(tree.start[node] - tree.stop[node]), node))
        elif room > 1 and len(inside) >= most:
            opened = [inside[len(inside) * at // room : len(inside) * (at + 1) // room] for at in range(room)]
        else:
            continue
        place = shown.index([largest])
        shown[place : place + 1] = opened
    return sorted(shown, key=lambda group: int(tree.start[group[0]]))


def title(tree: Tree, group: Sequence[int]) -> str:
    """``h.0`` alone, or ``h.0 – 7``."""
    first, last = tree.names[group[0]], tree.names[group[-1]]
    same = first.rpartition(".")[0] == last.rpartition(".")[0]
    return first if first == last else f"{first} – {last.rpartition('.')[2] if same else last}"


def neighbours(tree: Tree, node: int, most: int) -> Index:
    """``node`` and those beside it in depth, at most ``most``: of a weight other weights, of a module those that are as
    deep in the tree."""
    if tree.kinds[node] == "tensor":
        last = tree.names[node].rpartition(".")[2]
        kind = next((kind for kind in ("weight", "bias") if last.startswith(kind)), "")
        kin = [leaf for leaf in tree.leaf_nodes.tolist() if tree.names[leaf].rpartition(".")[2].startswith(kind)]
    else:
        depth = tree.names[node].count(".")
        kin = [
            other
            for other, (name, kind) in enumerate(zip(tree.names, tree.kinds, strict=True))
            if kind == "module" and name.count(".") == depth
        ]
        kin.sort(key=lambda other: int(tree.start[other]))
    place = kin.index(node)
    first = max(0, min(place - most // 2, len(kin) - most))
    return np.array(kin[first : first + most], np.intp)


def holder(tree: Tree, groups: Sequence[Sequence[int]], name: str) -> int | None:
    """The position of the group that the node ``name`` is in, or None."""
    if name not in tree.names:
        return None
    node = tree.names.index(name)
    for place, group in enumerate(groups):
        if tree.start[group[0]] <= tree.start[node] and tree.stop[node] <= tree.stop[group[-1]]:
            return place
    return None
