"""Names of tensors → the tree of nodes that have rows: every tensor, every module, the whole stream.

numpy only; used on both sides of the event file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

NodeKind = Literal["total", "module", "tensor"]

#: Components of a name beyond this stay joined in the last one, so that a hostile name cannot make a forest.
MAX_DEPTH = 32

Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Tree:
    """Nodes breadth first: a parent stands before its children, siblings stand together in model order.

    ``leaf_order[leaf]`` is the position of a leaf's tensor in the list the tree was built from. Leaves are numbered
    depth first, so node ``i`` holds exactly the leaves ``[start[i], stop[i])``.
    """

    names: tuple[str, ...]
    kinds: tuple[NodeKind, ...]
    parent: Index
    start: Index
    stop: Index
    leaf_order: Index

    def __len__(self) -> int:
        return len(self.names)

    @property
    def leaf_nodes(self) -> Index:
        """The node of each leaf, in leaf order."""
        tensors = np.array([i for i, kind in enumerate(self.kinds) if kind == "tensor"], np.intp)
        return tensors[np.argsort(self.start[tensors])]

    @property
    def tensor_names(self) -> list[str]:
        """Names of the tensors in the order that the tree was built from."""
        names = [""] * len(self.leaf_order)
        for leaf, node in enumerate(self.leaf_nodes):
            names[self.leaf_order[leaf]] = self.names[node]
        return names


@dataclass
class _Branch:
    name: str
    kind: NodeKind
    tensor: int = -1
    children: list[_Branch] = field(default_factory=list)
    start: int = 0
    stop: int = 0


def modules(name: str) -> list[str]:
    """The modules that the tensor ``name`` is in, outermost first: the proper prefixes of its path."""
    found: list[str] = []
    for component in name.split(".", MAX_DEPTH)[:-1]:
        found.append(f"{found[-1]}.{component}" if found else component)
    return found


def model_order(names: Sequence[str], kinds: Sequence[NodeKind]) -> list[str]:
    """The tensors of nodes that stand breadth first, in an order from which :func:`build` makes the same tree.

    Their breadth-first order would not do: it puts a shallow tensor before the modules that precede it in the model.
    """
    place = {name: index for index, (name, kind) in enumerate(zip(names, kinds, strict=True)) if kind == "module"}
    tensors = [index for index, kind in enumerate(kinds) if kind == "tensor"]
    return [names[i] for i in sorted(tensors, key=lambda i: [*(place[path] for path in modules(names[i])), i])]


def build(names: Sequence[str]) -> Tree:
    """The tree of the tensors ``names`` (dotted paths, each once); a module is a proper prefix of a path.

    Raises ValueError when a name comes twice.
    """
    if len(set(names)) != len(names):
        twice = min(name for name, times in Counter(names).items() if times > 1)
        raise ValueError(f"expected each tensor name once, but {twice!r} comes twice: rename or drop one of them")
    root = _Branch("", "total")
    branches: dict[str, _Branch] = {}
    for position, name in enumerate(names):
        parent = root
        for path in modules(name):
            branch = branches.get(path)
            if branch is None:
                branch = branches[path] = _Branch(path, "module")
                parent.children.append(branch)
            parent = branch
        parent.children.append(_Branch(name, "tensor", position))

    leaves = _number_leaves(root)
    order: list[_Branch] = [root]
    parents = [-1]
    for index, branch in enumerate(order):  # grows while it is walked: breadth first
        order.extend(branch.children)
        parents.extend([index] * len(branch.children))
    return Tree(
        names=tuple(branch.name for branch in order),
        kinds=tuple(branch.kind for branch in order),
        parent=np.array(parents, np.intp),
        start=np.array([branch.start for branch in order], np.intp),
        stop=np.array([branch.stop for branch in order], np.intp),
        leaf_order=np.array(leaves, np.intp),
    )


def _number_leaves(root: _Branch) -> list[int]:
    """Set each branch's leaf range depth first; returns the tensor position of each leaf."""
    leaves: list[int] = []
    stack = [(root, False)]
    while stack:
        branch, left = stack.pop()
        if left:
            branch.stop = len(leaves)
            continue
        branch.start = len(leaves)
        if branch.kind == "tensor":
            leaves.append(branch.tensor)
        stack.append((branch, True))
        stack.extend((child, False) for child in reversed(branch.children))
    return leaves
