"""The tree of nodes: breadth first, leaves in one range per node, and safe with any name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradhealth import nodes
from tb_gradhealth.nodes import MAX_DEPTH, Tree

PLAIN = st.lists(st.sampled_from(["a", "b", "0", "1"]), min_size=1, max_size=4).map(".".join)
HOSTILE = st.one_of(
    st.text(alphabet="a.", max_size=8),
    st.text(max_size=6),
    st.sampled_from(["", ".", "..", "a..b", ".a", "a.", "x" * 5000, "." * 10_000, "é.ü", "\ud800", "<b>.__proto__"]),
)
NAMES = st.lists(st.one_of(PLAIN, HOSTILE), unique=True, min_size=1, max_size=12)


def leaves_of(tree: Tree, names: list[str], node: int) -> list[str]:
    return [names[tree.leaf_order[leaf]] for leaf in range(tree.start[node], tree.stop[node])]


@given(NAMES)
def test_every_tree_is_breadth_first_with_one_range_of_leaves_per_node(names: list[str]) -> None:
    tree = nodes.build(names)
    parents = tree.parent.tolist()
    assert (tree.names[0], tree.kinds[0], parents[0]) == ("", "total", -1)
    assert tree.kinds.count("total") == 1
    assert parents[1:] == sorted(parents[1:]), "children of one parent stand together, in the order of the parents"
    assert all(parent < index for index, parent in enumerate(parents))
    assert sorted(tree.leaf_order.tolist()) == list(range(len(names)))
    assert sorted(tree.names[node] for node in tree.leaf_nodes) == sorted(names)
    for leaf, node in enumerate(tree.leaf_nodes):
        assert (tree.start[node], tree.stop[node]) == (leaf, leaf + 1)
        assert tree.names[node] == names[tree.leaf_order[leaf]]
    for index, kind in enumerate(tree.kinds):
        children = [child for child, parent in enumerate(parents) if parent == index]
        assert bool(children) == (kind != "tensor")
        if children:
            ranges = [(tree.start[child], tree.stop[child]) for child in children]
            assert ranges[0][0] == tree.start[index]
            assert ranges[-1][1] == tree.stop[index]
            assert all(one[1] == two[0] for one, two in itertools.pairwise(ranges))


@given(NAMES)
def test_a_module_holds_the_tensors_whose_path_goes_through_it(names: list[str]) -> None:
    tree = nodes.build(names)
    for index, (module, kind) in enumerate(zip(tree.names, tree.kinds, strict=True)):
        if kind == "module":
            inside = leaves_of(tree, names, index)
            assert all(name.startswith(f"{module}.") for name in inside)
            depth = module.count(".") + 1
            assert depth <= MAX_DEPTH
            assert not any(name.split(".", depth)[:-1] == module.split(".") for name in set(names) - set(inside))


@given(NAMES)
def test_the_tree_can_be_built_again_from_its_own_nodes(names: list[str]) -> None:
    """What a reader does, which has the nodes of a file and no other order."""
    tree = nodes.build(names)
    again = nodes.build(nodes.model_order(tree.names, tree.kinds))
    assert (again.names, again.kinds) == (tree.names, tree.kinds)
    assert np.array_equal(again.parent, tree.parent)


def test_siblings_stand_in_model_order_whatever_their_depth() -> None:
    tree = nodes.build(["wte.weight", "h.0.ln", "h.0.mlp.w", "h.1.ln", "ln_f", "head"])
    assert tree.names[:5] == ("", "wte", "h", "ln_f", "head")
    assert nodes.model_order(tree.names, tree.kinds) == ["wte.weight", "h.0.ln", "h.0.mlp.w", "h.1.ln", "ln_f", "head"]


@pytest.mark.parametrize("name", [".".join(map(str, range(200))), "." * 10_000, "a." * 5000 + "b"])
def test_a_deep_name_makes_a_chain_of_bounded_length(name: str) -> None:
    tree = nodes.build([name, "other"])
    assert len(tree) == MAX_DEPTH + 3
    assert tree.names[-1] == name


def test_a_tensor_may_be_called_like_a_module() -> None:
    tree = nodes.build(["a", "a.b"])
    assert list(zip(tree.names, tree.kinds, strict=True))[1:] == [("a", "tensor"), ("a", "module"), ("a.b", "tensor")]


def test_a_name_that_comes_twice_is_refused_in_words() -> None:
    with pytest.raises(
        ValueError, match=r"expected each tensor name once, but 'b\.w' comes twice: rename or drop one of"
    ):
        nodes.build(["z", "b.w", "a", "b.w", "z"])


def test_many_names_that_come_twice_are_refused_too() -> None:
    with pytest.raises(ValueError, match="'0' comes twice"):  # in the square of their number, it would take minutes
        nodes.build([str(i) for i in range(20_000)] * 2)
