"""The tab in a real browser, served by a real TensorBoard: what a person sees and can do."""

from __future__ import annotations

import io
import json
import urllib.parse
import urllib.request
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .conftest import EVERY, PLANTED_STEP, PLANTED_TENSOR, STEPS, Tab, TensorBoard

RUN = "planted/gradhealth"
Pixels = npt.NDArray[np.uint8]


def meta(tensorboard: TensorBoard, run: str = RUN, **more: str) -> Any:
    query = urllib.parse.urlencode({"run": run, **more})
    with urllib.request.urlopen(f"{tensorboard.url}data/plugin/gradhealth/meta?{query}") as answer:
        return json.load(answer)


def pixels(tab: Tab, node: int, step: int) -> Pixels:
    """What the screen shows of a cell, ``[y, x, rgb]``, with one row of margin cut away."""
    canvas, rect = tab.part("heatmap").bounding_box(), tab.ask(f"health.rectOf({node}, {step})")
    assert rect is not None, f"node {node} at step {step} is not in view"
    clip = {
        "x": canvas["x"] + rect["x"],
        "y": canvas["y"] + rect["y"] + 1,
        "width": max(1.0, rect["width"]),
        "height": rect["height"] - 2,
    }
    return np.asarray(Image.open(io.BytesIO(tab.page.screenshot(clip=clip))).convert("RGB"))


def magenta(cell: Pixels) -> float:
    """Share of pixels in the colour of non-finite values: much red and blue, little green."""
    red, green, blue = (cell[..., i].astype(int) for i in range(3))
    return float(np.mean((red - green > 60) & (blue - green > 60)))


def settled(tab: Tab) -> None:
    """Wait until everything in view is painted."""
    tab.page.wait_for_function(
        "() => [...document.querySelectorAll('iframe')].some(f => f.contentWindow.gradHealth?.state().complete)"
    )


def hover(tab: Tab, node: int, step: int) -> Any:
    rect = tab.ask(f"health.rectOf({node}, {step})")
    tab.part("heatmap").hover(position={"x": rect["x"] + rect["width"] / 2, "y": rect["y"] + rect["height"] / 2})
    return tab.part("tooltip")


def test_the_heatmap_appears_with_all_nodes_and_steps(tensorboard: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(tensorboard.url).ready()
    tab.choose_run(RUN)
    settled(tab)
    known = meta(tensorboard)
    assert known["steps"] == [0, STEPS]
    state = tab.ask("health.state()")
    assert state["run"] == RUN
    assert sorted(state["visibleNodes"]) == list(range(len(known["nodes"]["name"])))
    shown = {tuple(pixels(tab, 0, step).reshape(-1, 3)[0]) for step in range(0, STEPS, EVERY)}
    assert len(shown) > 10, "a training's total norm has more than ten colours"
    assert tab.problems == []


def test_a_planted_nan_is_found_by_pixel_and_by_tooltip(tensorboard: TensorBoard, open_tab: Any) -> None:
    for dark in (False, True):
        tab = open_tab(tensorboard.url, dark=dark).ready()
        tab.choose_run(RUN)
        settled(tab)
        names = meta(tensorboard)["nodes"]["name"]
        planted, healthy = names.index(PLANTED_TENSOR), names.index("body.0.weight")
        assert magenta(pixels(tab, planted, PLANTED_STEP)) > 0.3
        assert magenta(pixels(tab, names.index("body"), PLANTED_STEP)) > 0.3, "the module must show it as well"
        assert magenta(pixels(tab, healthy, PLANTED_STEP)) == 0
        assert magenta(pixels(tab, planted, PLANTED_STEP + 2 * EVERY)) == 0
        tooltip = hover(tab, planted, PLANTED_STEP)
        tooltip.get_by_text("in 10 of 10 steps").wait_for()
        text = tooltip.inner_text()
        assert PLANTED_TENSOR in text
        assert "NaN" in text
        assert f"first at step {PLANTED_STEP}" in text
        assert tab.problems == []


def test_the_tooltips_figures_are_those_of_the_reader(tensorboard: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(tensorboard.url).ready()
    tab.choose_run(RUN)
    settled(tab)
    node = meta(tensorboard)["nodes"]["name"].index("head.weight")
    query = urllib.parse.urlencode({"run": RUN, "stream": "gradients", "node": node, "level": 0, "index": 5})
    with urllib.request.urlopen(f"{tensorboard.url}data/plugin/gradhealth/cell?{query}") as answer:
        norm = json.load(answer)["metrics"]["norm"]
    tooltip = hover(tab, node, 5 * EVERY)
    figures = tooltip.locator("dd").first
    figures.wait_for()
    shown = [float(part) for part in figures.inner_text().split("·")]
    np.testing.assert_allclose(shown, [norm["mean"], norm["min"], norm["max"]], rtol=5e-3)


def test_metric_and_view_switch_change_the_picture_and_its_caption(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url).ready()
    tab.choose_run(RUN)
    settled(tab)
    before = tab.part("heatmap").screenshot()
    tab.part("metric").select_option("near_zero_fraction")
    settled(tab)
    assert tab.ask("health.state().metric") == "near_zero_fraction"
    assert "Near-zero fraction" in tab.part("caption").inner_text()
    assert tab.part("heatmap").screenshot() != before
    for view, words in (("mean", "mean over steps"), ("min", "min over steps"), ("worst", "worst tensor inside")):
        tab.part("view").select_option(view)
        settled(tab)
        assert words in tab.part("caption").inner_text()
    assert tab.problems == []


def test_folding_a_module_hides_its_tensors_and_keeps_its_row(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url).ready()
    tab.choose_run(RUN)
    settled(tab)
    names = meta(board)["nodes"]["name"]
    body, inside = names.index("body"), [i for i, name in enumerate(names) if name.startswith("body.")]
    tab.part("tree").focus()
    item = tab.frame.locator(f"[data-testid=treeitem][data-node='{body}']")
    item.click()
    tab.page.keyboard.press("ArrowLeft")
    item.and_(tab.frame.locator("[aria-expanded=false]")).wait_for()
    settled(tab)
    visible = tab.ask("health.state().visibleNodes")
    assert body in visible
    assert not set(visible) & set(inside)
    assert magenta(pixels(tab, body, PLANTED_STEP)) > 0.3, "a folded module still shows what is inside"
    tab.part("expand-all").click()
    settled(tab)
    assert sorted(tab.ask("health.state().visibleNodes")) == list(range(len(names)))
    assert tab.problems == []


def test_a_damaged_run_and_one_without_data_say_so_and_the_others_show(tensorboard: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(tensorboard.url).ready()
    tab.choose_run("plain")
    tab.part("message").wait_for()
    assert "No Grad Health data in this run" in tab.part("message").inner_text()
    tab.choose_run("broken/gradhealth")
    settled(tab)
    end = meta(tensorboard, "broken/gradhealth")["steps"][1]
    assert 0 < end < STEPS, "rows before the damage are shown, those behind it are not invented"
    tab.choose_run(RUN)
    settled(tab)
    assert tab.ask("health.state().run") == RUN
    assert tab.problems == []


def test_a_narrow_window_still_holds_tree_and_heatmap(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url, width=800, whole=True).ready()
    tab.choose_run(RUN)
    settled(tab)
    assert tab.part("heatmap").bounding_box()["width"] > 300
    planted = meta(board)["nodes"]["name"].index(PLANTED_TENSOR)
    assert magenta(pixels(tab, planted, PLANTED_STEP)) > 0.3
    page = "document.documentElement"
    assert tab.ask(f"{page}.scrollWidth <= {page}.clientWidth")


def test_a_log_directory_without_data_shows_the_lines_to_copy(empty_board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(empty_board.url)
    tab.part("empty-state").wait_for(timeout=30_000)
    text = tab.part("empty-state").inner_text()
    assert "from tb_gradhealth import GradHealthWriter" in text
    assert 'GradHealthWriter(optimizer, model, logdir="runs/exp1")' in text
    assert "tensorboard --logdir runs" in text
