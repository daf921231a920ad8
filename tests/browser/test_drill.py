"""The drill-down below the heatmap and the overview above it, driven in a real TensorBoard."""

from __future__ import annotations

import io
import json
import urllib.parse
import urllib.request
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .conftest import EVERY, PLANTED_STEP, PLANTED_TENSOR, STEPS, Tab, TensorBoard
from .test_heatmap import RUN, Pixels, meta, settled

ROWS = STEPS // EVERY

#: Words of an element's text that stand on more than one line.
BROKEN_WORDS = """element => {
  const words = [], texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), range = document.createRange();
  for (let text; (text = texts.nextNode()); )
    for (const { 0: word, index } of text.data.matchAll(/\\p{L}+/gu)) {
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      if (new Set([...range.getClientRects()].map(box => box.top)).size > 1) words.push(word);
    }
  return words;
}"""


def shown(board: TensorBoard, open_tab: Any, **options: Any) -> Tab:
    tab: Tab = open_tab(board.url, **options).ready()
    tab.choose_run(RUN)
    settled(tab)
    return tab


def shot(tab: Tab, box: Any) -> Pixels:
    """What the screen shows of a box of the page, ``[y, x, rgb]``."""
    clip = {name: box[name] for name in ("x", "y", "width", "height")}
    return np.asarray(Image.open(io.BytesIO(tab.page.screenshot(clip=clip))).convert("RGB"))


def click(tab: Tab, node: int, step: int) -> None:
    rect = tab.ask(f"health.rectOf({node}, {step})")
    tab.part("heatmap").click(position={"x": rect["x"] + rect["width"] / 2, "y": rect["y"] + rect["height"] / 2})


def opened(board: TensorBoard, open_tab: Any, name: str = PLANTED_TENSOR, **options: Any) -> Tab:
    """A tab with the drill-down open at the planted step of a node, all of it loaded."""
    tab = shown(board, open_tab, **options)
    click(tab, meta(board)["nodes"]["name"].index(name), PLANTED_STEP)
    tab.part("row-table").wait_for()
    tab.frame.locator("[data-testid=chart-note]", has_text="Loading").wait_for(state="detached")
    return tab


def asked(board: TensorBoard, route: str, **query: Any) -> Any:
    url = f"{board.url}data/plugin/gradhealth/{route}?{urllib.parse.urlencode({'run': RUN, **query})}"
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def centre_of_step(tab: Tab, step: float) -> float:
    """Where a step is, in pixels of the page."""
    canvas = tab.part("heatmap").bounding_box()
    return float(canvas["x"] + canvas["width"] * step / STEPS)


def test_a_click_opens_the_exact_row_and_nothing_jumps(board: TensorBoard, open_tab: Any) -> None:
    tab = shown(board, open_tab)
    first = tab.part("treeitem").first
    before = first.bounding_box(), tab.part("heatmap").bounding_box()
    node = meta(board)["nodes"]["name"].index(PLANTED_TENSOR)
    click(tab, node, PLANTED_STEP)
    tab.part("row-table").wait_for()
    after = first.bounding_box(), tab.part("heatmap").bounding_box()
    assert after[0] == before[0]
    assert {k: after[1][k] for k in "xy"} == {k: before[1][k] for k in "xy"}
    assert after[1]["height"] < before[1]["height"]
    cell = PLANTED_STEP // EVERY * EVERY
    row = asked(board, "rows", stream="gradients", node=node, begin=cell, end=cell + EVERY)["rows"][0]
    cells = tab.part("row-table").locator("tr", has_text="Norm").first.locator("td")
    exact = [float(title) for title in cells.evaluate_all("all => all.map(cell => cell.title)")]
    np.testing.assert_array_equal(exact, [row["metrics"]["norm"][name] for name in ("mean", "min", "max")])
    text = tab.part("row-table").inner_text()
    assert f"step {PLANTED_STEP}" in text
    assert len(row["metrics"]) == len(meta(board)["metrics"])
    for width, height in ((1240, 900), (1150, 900), (800, 600)):
        tab.page.set_viewport_size({"width": width, "height": height})
        tab.page.wait_for_timeout(300)
        assert tab.part("row-table").evaluate(BROKEN_WORDS) == []
        canvas = tab.part("heatmap").bounding_box()
        assert canvas["height"] >= 8 * 18, "rows stay beside the panel in a small window"
        assert tab.ask(f"health.rectOf({node}, {PLANTED_STEP})") is not None
    tab.part("close-drill").click()
    tab.part("heatmap").click(position={"x": 300, "y": tab.part("heatmap").bounding_box()["height"] - 4})
    tab.part("row-table").wait_for()
    tab.page.wait_for_timeout(300)
    panel, canvas = tab.part("drill").bounding_box(), tab.part("heatmap").bounding_box()
    frame = tab.frame.locator(".cell-frame.cursor").bounding_box()
    assert panel["y"] + panel["height"] <= 600 + 1, "all of the panel is in view"
    assert canvas["y"] - 1 <= frame["y"] < canvas["y"] + canvas["height"] - 10, "so is the row that was clicked"
    assert tab.problems == []


@pytest.mark.parametrize(("dark", "width"), [(False, 1400), (True, 800)])
def test_the_chart_lies_on_the_heatmaps_steps_and_marks_the_nan(
    board: TensorBoard, open_tab: Any, dark: bool, width: int
) -> None:
    tab = opened(board, open_tab, dark=dark, width=width)
    canvas, plot = tab.part("heatmap").bounding_box(), tab.frame.locator(".u-over").bounding_box()
    assert abs(plot["x"] - canvas["x"]) < 1
    assert abs(plot["width"] - canvas["width"]) < 1
    box = tab.frame.locator(".plot canvas").bounding_box()
    tab.page.mouse.move(5, 5)
    tab.part("tooltip").wait_for(state="detached")
    signs = shot(tab, {"x": canvas["x"], "y": box["y"], "width": canvas["width"], "height": 12})
    bad = np.flatnonzero(np.any(strongly_magenta(signs), axis=0))
    cell = (PLANTED_STEP // EVERY * EVERY + EVERY / 2) * canvas["width"] / STEPS
    assert bad.size > 0
    assert abs(bad.mean() - cell) < 3, "the cross stands above the middle of the cell"
    assert tab.problems == []


def strongly_magenta(pixels: Any) -> Any:
    red, green, blue = (pixels[..., i].astype(int) for i in range(3))
    return (red - green > 60) & (blue - green > 40)


def test_pointer_cursor_and_zoom_are_those_of_the_heatmap(board: TensorBoard, open_tab: Any) -> None:
    tab = opened(board, open_tab)
    plot = tab.frame.locator(".u-over").bounding_box()
    x, y = centre_of_step(tab, 305), plot["y"] + plot["height"] / 2
    tab.page.mouse.move(x, y)
    hairline = tab.frame.locator(".heatmap .hairline")
    hairline.wait_for()
    assert abs(hairline.bounding_box()["x"] - x) < 1.5
    tab.page.mouse.click(x, y)
    tab.frame.locator("[data-testid=drill][aria-label*='steps 300–309']").wait_for()
    tab.part("heatmap").hover(position={"x": 100, "y": 30})
    assert abs(tab.frame.locator(".plot-lines .hairline").bounding_box()["x"] - (plot["x"] + 100)) < 1.5
    tab.page.mouse.move(centre_of_step(tab, 100), y)
    tab.page.mouse.down()
    tab.page.mouse.move(centre_of_step(tab, 200), y, steps=4)
    tab.page.mouse.up()
    tab.part("whole-run").wait_for()
    settled(tab)
    assert tab.ask("health.rectOf(0, 90)") is None
    assert abs(tab.ask("health.rectOf(0, 150)")["x"] - plot["width"] / 2) < 15
    assert tab.problems == []


def test_the_keyboard_opens_pins_resizes_and_returns_to_the_cell(board: TensorBoard, open_tab: Any) -> None:
    tab = shown(board, open_tab)
    focus = "document.activeElement?.dataset.testid"
    tab.part("heatmap").focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        tab.page.keyboard.press(key)
    tab.part("row-table").wait_for()
    assert tab.ask(focus) == "drill"
    tab.page.keyboard.press("p")
    tab.frame.locator("[data-testid=line][data-style='1']").wait_for()
    height = tab.part("drill").bounding_box()["height"]
    tab.part("separator").focus()
    tab.page.keyboard.press("ArrowUp")
    tab.frame.locator(f"[data-testid=separator][aria-valuenow='{round(height) + 24}']").wait_for()
    assert tab.part("drill").bounding_box()["height"] == height + 24
    tab.page.keyboard.press("Escape")
    tab.part("drill").wait_for(state="detached")
    assert tab.ask(focus) == "heatmap"
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Enter")
    tab.frame.locator("[data-testid=line][data-style='0']").wait_for()
    assert tab.part("line").count() == 2
    assert tab.part("drill").bounding_box()["height"] == height + 24
    assert tab.problems == []


@pytest.mark.parametrize("width", [1400, 800])
def test_the_overview_stands_on_the_heatmaps_steps_and_folds(board: TensorBoard, open_tab: Any, width: int) -> None:
    tab = shown(board, open_tab, width=width)
    row = tab.part("overview-row")
    row.first.wait_for()
    assert row.evaluate_all("rows => rows.map(row => row.dataset.kind)") == ["norm", "rate"]
    line, canvas = tab.part("sparkline").first.bounding_box(), tab.part("heatmap").bounding_box()
    assert abs(line["x"] - canvas["x"]) < 1
    assert abs(line["width"] - canvas["width"]) < 1
    known = asked(board, "overview", begin=0, end=STEPS, cells=ROWS)
    tab.part("sparkline").first.hover(position={"x": canvas["width"] * 305 / STEPS, "y": 10})
    figure = row.locator(".figure").first.inner_text()
    assert float(figure.split()[0]) == pytest.approx(known["series"][0]["mean"][305 // EVERY], rel=5e-3)
    tab.frame.locator(".heatmap .hairline").wait_for()
    drawn = shot(tab, line)
    background = drawn[0, 0]
    assert np.any(drawn != background, axis=(0, 2)).mean() > 0.95, "the line goes through nearly all columns"
    tab.part("fold-overview").click()
    tab.part("sparkline").first.wait_for(state="detached")
    assert tab.part("heatmap").bounding_box()["height"] > canvas["height"]
    assert tab.problems == []


def test_skipped_steps_are_ticks_in_the_overview(noted_board: TensorBoard, open_tab: Any) -> None:
    tab: Tab = open_tab(noted_board.url).ready()
    tab.choose_run("noted/gradhealth")
    tab.part("skipped").wait_for()
    canvas = tab.part("sparkline").first.bounding_box()
    foot = shot(tab, {**canvas, "y": canvas["y"] + canvas["height"] - 6, "height": 6}).astype(int)
    orange = (foot[..., 0] - foot[..., 2] > 120) & (foot[..., 0] - foot[..., 1] > 40)
    assert orange.any()
    first = tab.part("overview-row").first
    titles = first.locator(".figure").evaluate_all("all => all.map(figure => figure.title.split(',')[0])")
    assert sorted(titles) == ["Gradient norm (applied)", "Gradient norm (before clipping)"]
    assert tab.problems == []
