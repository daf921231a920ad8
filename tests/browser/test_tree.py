"""The tree in a real browser: what it is narrowed to, how it is ordered, and where its path leads."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest

from .conftest import PLANTED_STEP, PLANTED_TENSOR, STEPS, Tab, TensorBoard
from .test_heatmap import RUN, magenta, meta, pixels, settled


def shown(tab: Tab, names: list[str]) -> list[str]:
    """Full names of the rows from the top."""
    return [names[node] for node in tab.ask("health.state().visibleNodes")]


def open_run(board: TensorBoard, open_tab: Any, **options: Any) -> tuple[Tab, list[str]]:
    tab = open_tab(board.url, **options).ready()
    tab.choose_run(RUN)
    settled(tab)
    return tab, meta(board)["nodes"]["name"]


def values(board: TensorBoard, metric: str, begin: int, end: int) -> list[float | None]:
    query = {"run": RUN, "stream": "gradients", "metric": metric, "view": "max", "begin": begin, "end": end}
    address = f"{board.url}data/plugin/gradhealth/values?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(address) as answer:
        return list(json.load(answer)["values"])


@pytest.mark.parametrize(("dark", "width"), [(False, 1400), (True, 800)])
def test_words_kinds_and_expressions_narrow_tree_and_heatmap(
    board: TensorBoard, open_tab: Any, dark: bool, width: int
) -> None:
    tab, names = open_run(board, open_tab, dark=dark, width=width)
    before = shown(tab, names)
    top = tab.part("heatmap").bounding_box()["y"]
    tab.part("heatmap").focus()
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("BODY bias")
    settled(tab)
    found = [name for name in names if name.startswith("body.") and name.endswith("bias")]
    left = shown(tab, names)
    assert [name for name in left if name.endswith("bias")] == found
    assert {name for name in left if not name.endswith("bias")} == {"", "body"} | {n.rpartition(".")[0] for n in found}
    tensors = [kind == "tensor" for kind in meta(board)["nodes"]["kind"]]
    assert tab.part("filter-count").inner_text() == f"{len(found)} of {sum(tensors)}"
    tab.page.keyboard.press("Escape")
    assert shown(tab, names) == before
    tab.part("filter").fill("/\\.2\\.w/")
    tab.frame.locator("[data-testid=filter-count]", has_text=" of ").wait_for()
    settled(tab)
    assert shown(tab, names) == ["", "body", "body.2", PLANTED_TENSOR]
    assert magenta(pixels(tab, names.index(PLANTED_TENSOR), PLANTED_STEP)) > 0.3, "the heatmap's rows are the tree's"
    tab.part("filter").fill("/(x/")
    assert "group" in tab.part("filter-problem").inner_text()
    assert shown(tab, names) == before, "an expression that is none filters nothing"
    tab.part("filter").fill("")
    tab.frame.locator("[data-testid=kind][data-kind=bias]").click()
    assert all(name.endswith("bias") for name in shown(tab, names) if tensors[names.index(name)])
    assert tab.part("heatmap").bounding_box()["y"] == top, "the heatmap stays where it is"
    assert tab.problems == []


def test_an_expression_without_end_is_stopped_and_the_page_goes_on(board: TensorBoard, open_tab: Any) -> None:
    tab, names = open_run(board, open_tab)
    before = shown(tab, names)
    tab.part("filter").fill("/^((((([a-z.0-9]+)+)+)+)+)+X/")
    tab.part("filter-problem").get_by_text("takes too long").wait_for()
    assert shown(tab, names) == before
    tab.part("filter").fill("/HEAD/i")
    tab.frame.locator("[data-testid=filter-count]", has_text=" of ").wait_for()
    assert "body" not in shown(tab, names)
    tab.part("filter").fill("head")
    assert "head.weight" in shown(tab, names)
    assert "body" not in shown(tab, names)
    tab.part("filter").fill("")
    assert shown(tab, names) == before
    assert tab.problems == []


def test_the_worst_come_first_and_the_nan_before_them(board: TensorBoard, open_tab: Any) -> None:
    tab, names = open_run(board, open_tab)
    kinds = meta(board)["nodes"]["kind"]
    tensors = [node for node, kind in enumerate(kinds) if kind == "tensor"]
    norms, bad = values(board, "norm", 0, STEPS), values(board, "nonfinite", 0, STEPS)
    worst = sorted(tensors, key=lambda node: (-(bad[node] or 0), -(norms[node] or 0)))
    assert names[worst[0]] == PLANTED_TENSOR
    tab.part("flat").click()
    tab.part("order").select_option("worst")
    tab.part("ranked").get_by_text("steps 0").wait_for()
    settled(tab)
    assert shown(tab, names) == [names[node] for node in worst]
    assert magenta(pixels(tab, worst[0], PLANTED_STEP)) > 0.3
    assert magenta(pixels(tab, worst[1], PLANTED_STEP)) == 0
    tab.part("flat").click()
    tree = tab.ask("health.state().visibleNodes")
    parents = meta(board)["nodes"]["parent"]
    for parent in set(parents):
        children = [node for node in tree if parents[node] == parent]
        assert children == sorted(children, key=lambda node: (-(bad[node] or 0), -(norms[node] or 0)))
    assert tab.problems == []


def test_a_metric_at_the_clicked_cell_orders_both_ways(board: TensorBoard, open_tab: Any) -> None:
    tab, _ = open_run(board, open_tab)
    begin, end = 200, 210
    rect = tab.ask(f"health.rectOf(0, {begin})")
    tab.part("heatmap").click(position={"x": rect["x"] + rect["width"] / 2, "y": rect["y"] + rect["height"] / 2})
    tab.part("flat").click()
    tab.part("order").select_option("metric:rms")
    tab.part("ranked").get_by_text(f"steps {begin}–{end - 1}").wait_for()
    kinds = meta(board)["nodes"]["kind"]
    sizes = values(board, "rms", begin, end)
    tensors = [node for node, kind in enumerate(kinds) if kind == "tensor"]
    empty = [node for node in tensors if sizes[node] is None]
    assert empty, "a tensor without a gradient has no place among the others"
    rising = sorted((node for node in tensors if sizes[node] is not None), key=lambda node: sizes[node] or 0.0)
    assert tab.ask("health.state().visibleNodes") == rising[::-1] + empty
    tab.part("order-direction").click()
    tab.frame.locator(f"[data-testid=treeitem][data-node='{rising[0]}'][aria-posinset='1']").wait_for()
    assert tab.ask("health.state().visibleNodes") == rising + empty
    assert tab.problems == []


def test_the_path_leads_up_and_a_focused_module_is_alone(board: TensorBoard, open_tab: Any) -> None:
    tab, names = open_run(board, open_tab)
    item = tab.frame.locator(f"[data-testid=treeitem][data-node='{names.index(PLANTED_TENSOR)}']")
    item.click()
    crumbs = tab.part("crumb")
    assert crumbs.all_inner_texts() == ["All tensors", "body", "2", "weight"]
    tab.page.keyboard.press("Shift+F")
    assert shown(tab, names)[0] == "body.2"
    assert all(name.startswith("body.2") for name in shown(tab, names))
    crumbs.nth(1).click()
    assert shown(tab, names)[0] == "body"
    crumbs.nth(0).click()
    settled(tab)
    assert shown(tab, names)[0] == ""
    assert tab.problems == []
