"""The colour range: seen, dragged, typed, fitted and held, in a real browser over a real TensorBoard."""

from __future__ import annotations

from typing import Any

import numpy as np

from .conftest import Tab, TensorBoard
from .test_alerts import axe
from .test_heatmap import RUN, meta, pixels, settled


def opened(tab: Tab) -> Tab:
    tab.ready().choose_run(RUN)
    settled(tab)
    tab.frame.locator("[data-testid=histogram] path:not([d=''])").wait_for()
    return tab


def value(tab: Tab, field: str) -> float:
    return float(tab.part(field).input_value())


def held(tab: Tab) -> bool:
    return bool(tab.part("lock").get_attribute("aria-pressed") == "true")


def test_a_dragged_end_recolours_and_is_held_until_fitted_again(board: TensorBoard, open_tab: Any) -> None:
    for dark in (False, True):
        tab = opened(open_tab(board.url, dark=dark))
        tab.page.wait_for_timeout(400)
        robust, before = value(tab, "range-hi"), pixels(tab, 0, 50)
        box = tab.part("range-high").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        tab.page.mouse.move(x, y)
        tab.page.mouse.down()
        tab.page.mouse.move(x - 30, y)
        tab.page.mouse.move(x - 60, y)
        dragged = tab.part("range-high").bounding_box()
        assert abs(dragged["x"] + dragged["width"] / 2 - (x - 60)) < 1.5, "the end stays under the pointer"
        tab.page.mouse.up()
        narrower = value(tab, "range-hi")
        assert narrower < robust
        assert held(tab)
        settled(tab)
        assert not np.array_equal(pixels(tab, 0, 50), before)
        assert "above" in tab.part("beyond").inner_text()
        tab.part("view").select_option("mean")
        settled(tab)
        tab.part("metric").select_option("rms")
        settled(tab)
        assert not held(tab)
        tab.part("metric").select_option("norm")
        settled(tab)
        assert (held(tab), value(tab, "range-hi")) == (True, narrower)
        tab.part("view").select_option("max")
        settled(tab)
        tab.part("fit").click()
        settled(tab)
        assert (held(tab), value(tab, "range-hi")) == (False, robust)
        assert tab.problems == []


def test_ends_are_typed_exactly_and_moved_by_keys(board: TensorBoard, open_tab: Any) -> None:
    tab = opened(open_tab(board.url))
    tab.part("range-lo").fill("0.0125")
    tab.part("range-lo").press("Enter")
    assert value(tab, "range-lo") == 0.0125
    slider = tab.part("range-low")
    slider.focus()
    tab.page.keyboard.press("ArrowRight")
    moved = value(tab, "range-lo")
    assert moved > 0.0125
    assert 0 <= int(slider.get_attribute("aria-valuenow")) <= 100
    assert "% of the values in view are below" in slider.get_attribute("aria-valuetext")
    tab.part("range-lo").fill("-3")
    tab.part("range-lo").press("Enter")
    assert value(tab, "range-lo") == moved, "a log scale has no place for it"
    assert tab.problems == []


def test_a_diverging_scale_has_a_centre_of_no_hue(board: TensorBoard, open_tab: Any) -> None:
    for dark in (False, True):
        tab = opened(open_tab(board.url, dark=dark))
        tab.part("scale").locator("[value=diverging]").click(force=True)
        settled(tab)
        query = "health.state().metric"
        assert tab.ask(query) == "norm"
        assert {"rdbu", "puor"} == set(
            tab.part("colours").evaluate("select => [...select.options].map(option => option.value)")
        )
        node = meta(board)["nodes"]["name"].index("head.weight")
        rect = tab.ask(f"health.rectOf({node}, 55)")
        tab.part("heatmap").hover(position={"x": rect["x"] + 2, "y": rect["y"] + 2})
        shown = tab.part("tooltip").locator("dd").first
        shown.wait_for()
        largest = shown.inner_text().split("·")[2].strip()
        tab.page.mouse.move(0, 0)
        tab.part("range-centre").fill(largest)
        tab.part("range-centre").press("Enter")
        settled(tab)
        tab.page.wait_for_timeout(100)
        colour = pixels(tab, node, 55)[2, 2].astype(int)
        assert colour.min() > 225, f"the centre is nearly white, got {colour}"
        centre, lo, hi = (value(tab, field) for field in ("range-centre", "range-lo", "range-hi"))
        np.testing.assert_allclose(centre**2, lo * hi, rtol=1e-4)
        assert axe(tab, "range", "scale") == []
        assert tab.problems == []


def test_the_control_appears_without_moving_the_heatmap_and_fits_a_narrow_page(
    board: TensorBoard, open_tab: Any
) -> None:
    tab = opened(open_tab(board.url, width=800))
    page = "document.documentElement"
    assert tab.ask(f"{page}.scrollWidth <= {page}.clientWidth")
    before = tab.part("heatmap").bounding_box()
    tab.part("metric").select_option("rms")
    assert tab.part("heatmap").bounding_box() == before
    settled(tab)
    assert tab.part("heatmap").bounding_box() == before
    assert tab.problems == []
