"""A second run beside the first: same rows, steps and colours, as a person sees them."""

from __future__ import annotations

import io
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.synthetic import NAMES, Recording, gradients, measured

from .conftest import Tab, TensorBoard
from .test_heatmap import Pixels, magenta, meta, settled

SHORT, LONG = "short/gradhealth", "long/gradhealth"
STEPS, LONG_STEPS, EVERY = 400, 1000, 10
BAD_STEP = 700
LACKED, EXTRA = "blocks.1.attn.weight", "extra.weight"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """The long run begins with the same gradients, has a NaN behind the short one's end, and another tensor."""
    logdir = tmp_path_factory.mktemp("compared")
    elements = gradients(LONG_STEPS, len(NAMES))
    short = Recording(measured(elements[:STEPS]), every=EVERY)
    elements[BAD_STEP, 0, 2] = np.nan
    other = tuple(EXTRA if name == LACKED else name for name in NAMES)
    short.write(logdir / "short" / "gradhealth")
    Recording(measured(elements), names=other, every=EVERY).write(logdir / "long" / "gradhealth")
    served = TensorBoard(logdir)
    yield served
    served.stop()


def compared(board: TensorBoard, open_tab: Any, **options: Any) -> Tab:
    tab: Tab = open_tab(board.url, **options).ready()
    tab.choose_run(SHORT)
    settled(tab)
    tab.part("compare").click()
    tab.choose_run(LONG, "compare-picker")
    both_settled(tab)
    return tab


def both_settled(tab: Tab) -> None:
    tab.page.wait_for_function(
        "() => [...document.querySelectorAll('iframe')]"
        ".some(f => f.contentWindow.gradHealth?.state().compared?.complete)"
    )
    settled(tab)


def pixels_of(tab: Tab, part: str, node: int, step: int) -> Pixels:
    """As both heatmaps have the same size and axis, the first one's rectangle of a cell is the second's as well."""
    canvas, rect = tab.part(part).bounding_box(), tab.ask(f"health.rectOf({node}, {step})")
    clip = {"x": canvas["x"] + rect["x"] + 1, "y": canvas["y"] + rect["y"] + 1}
    clip |= {"width": rect["width"] - 2, "height": rect["height"] - 3}
    return np.asarray(Image.open(io.BytesIO(tab.page.screenshot(clip=clip))).convert("RGB"))


def seconds_row(tab: Tab, row: int) -> Pixels:
    """The whole row of the second heatmap, ``[y, x, rgb]``."""
    canvas = tab.part("second-heatmap").bounding_box()
    clip = {"x": canvas["x"], "y": canvas["y"] + 18 * row + 1, "width": canvas["width"], "height": 15}
    return np.asarray(Image.open(io.BytesIO(tab.page.screenshot(clip=clip))).convert("RGB"))


@pytest.mark.parametrize(("width", "dark"), [(1600, False), (800, True)])
def test_equal_gradients_have_equal_colours_and_a_later_nan_shows(
    board: TensorBoard, open_tab: Any, width: int, dark: bool
) -> None:
    tab = compared(board, open_tab, width=width, dark=dark, height=900 if width > 1000 else 1500)
    tab.page.mouse.move(5, 5)
    names = meta(board, SHORT)["nodes"]["name"]
    for name in ("blocks.0.attn.weight", "embed", "head.weight"):
        for step in range(5, STEPS, 70):
            first, second = (pixels_of(tab, p, names.index(name), step) for p in ("heatmap", "second-heatmap"))
            np.testing.assert_array_equal(first, second)
    rows = [names[node] for node in tab.ask("health.state().visibleNodes")]
    embed = seconds_row(tab, rows.index("embed"))
    bad = np.flatnonzero([magenta(embed[:, x : x + 1]) > 0.5 for x in range(embed.shape[1])])
    assert len(bad) > 0, "the NaN behind the first run's end shows in the second"
    assert abs(float(bad.mean()) / embed.shape[1] - (BAD_STEP + EVERY / 2) / LONG_STEPS) < 0.02
    assert tab.part("differences").inner_text() == "2 modules and 1 tensor only in A, 1 module and 1 tensor only in B"
    assert "same colours in A and B" in tab.part("legend").inner_text()
    assert tab.problems == []


def test_zoom_and_hover_are_shared(board: TensorBoard, open_tab: Any) -> None:
    tab = compared(board, open_tab)
    names = meta(board, SHORT)["nodes"]["name"]
    embed = names.index("embed")
    before = tab.ask(f"health.rectOf({embed}, 200)")
    second = tab.part("second-heatmap")
    second.hover(position={"x": before["x"] + before["width"] / 2, "y": before["y"] + before["height"] / 2})
    tab.page.keyboard.down("Control")
    for _ in range(3):
        tab.page.mouse.wheel(0, -200)
    tab.page.keyboard.up("Control")
    both_settled(tab)
    after = tab.ask(f"health.rectOf({embed}, 200)")
    assert after["width"] > 2 * before["width"]
    ticks = tab.frame.locator(".axis").evaluate_all(
        "axes => axes.map(axis => [...axis.querySelectorAll('.tick')].map(tick => [tick.textContent, tick.style.left]))"
    )
    assert ticks[0] == ticks[1]
    assert tab.part("hairline").count() == 2

    second.hover(position={"x": after["x"] + after["width"] / 2, "y": after["y"] + after["height"] / 2})
    beside = tab.part("value-beside")
    beside.wait_for()
    shown = float(beside.locator("b").inner_text().removeprefix("≈ "))
    assert shown == pytest.approx(norm(board, LONG, "embed", 200), rel=0.01)
    headline = tab.part("tooltip").locator(".headline b")
    headline.wait_for()
    first = float(headline.inner_text().removeprefix("≈ "))
    assert first == pytest.approx(norm(board, SHORT, "embed", 200), rel=0.01)

    for part, run, label in (("second-heatmap", LONG, "long"), ("heatmap", SHORT, "short")):
        tab.part(part).click(position={"x": after["x"] + after["width"] / 2, "y": after["y"] + after["height"] / 2})
        tab.part("drill-run-name").get_by_text(label).wait_for()
        largest = tab.part("row-table").locator("tr", has_text="Norm").first.locator("td").last
        largest.wait_for()
        assert float(largest.get_attribute("title")) == norm(board, run, "embed", 200)
    assert tab.problems == []


def norm(board: TensorBoard, run: str, name: str, step: int) -> float:
    node = meta(board, run)["nodes"]["name"].index(name)
    query = urllib.parse.urlencode(
        {"run": run, "stream": "gradients", "node": node, "level": 0, "index": step // EVERY}
    )
    with urllib.request.urlopen(f"{board.url}data/plugin/gradhealth/cell?{query}") as answer:
        return float(json.load(answer)["metrics"]["norm"]["max"])


def test_it_stands_beside_or_below_and_goes_when_closed(board: TensorBoard, open_tab: Any) -> None:
    for width in (1600, 800):
        tab = compared(board, open_tab, width=width)
        first, second = (tab.part(part).bounding_box() for part in ("heatmap", "second-heatmap"))
        assert (second["width"], second["height"]) == pytest.approx((first["width"], first["height"]), abs=1)
        if width == 1600:
            assert second["y"] == pytest.approx(first["y"], abs=0.1)
            assert second["x"] >= first["x"] + first["width"]
        else:
            assert second["x"] == pytest.approx(first["x"], abs=0.1)
            assert second["y"] >= first["y"] + first["height"]
        page = "document.documentElement"
        assert tab.ask(f"{page}.scrollWidth <= {page}.clientWidth")
        tab.part("compare-close").click()
        tab.part("second").wait_for(state="detached")
        assert tab.ask("health.state().compared") is None
        alone = tab.part("heatmap").bounding_box()
        assert alone["width"] * alone["height"] > 1.5 * first["width"] * first["height"]
        assert tab.problems == []
