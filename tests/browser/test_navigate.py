"""Finding one's way: the state in the URL, gestures, the minimap and the help, in a real browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser
from tensorboard.summary import Writer

from tests.synthetic import NAMES, Recording, gradients, measured

from .conftest import Tab, TensorBoard

#: More steps, and so cells, than any of the windows here has pixels.
STEPS, BAD_STEP = 2_400, 1_800
AXE = Path(__file__).parents[2] / "plugin_frontend" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """``long`` has a row for each step and a NaN at one; ``plain`` gives TensorBoard another tab."""
    directory = tmp_path_factory.mktemp("long")
    elements = gradients(STEPS, len(NAMES))
    elements[BAD_STEP, 0, 0] = np.nan
    Recording(measured(elements), every=1).write(directory / "long" / "gradhealth")
    plain = Writer(str(directory / "plain"))
    plain.add_scalar("loss", 1.0, step=0)
    plain.close()
    served = TensorBoard(directory, "--load_fast=true")
    yield served
    served.stop()


def opened(board: TensorBoard, open_tab: Any, **options: Any) -> Tab:
    tab: Tab = open_tab(board.url, **options).ready()
    settled(tab)
    return tab


def settled(tab: Tab) -> None:
    tab.page.wait_for_function(
        "() => [...document.querySelectorAll('iframe')].some(f => f.contentWindow.gradHealth?.state().complete)"
    )


def window(tab: Tab) -> Any:
    return tab.ask("health.state().window")


def top_hash(tab: Tab, part: str) -> str:
    """The top window's fragment, once it says ``part``."""
    tab.page.wait_for_function("part => location.hash.includes(part)", arg=part)
    return str(tab.page.evaluate("location.hash"))


def drag(tab: Tab, start: tuple[float, float], end: tuple[float, float], button: Any = "left") -> None:
    """In CSS pixels relative to the heatmap."""
    box = tab.part("heatmap").bounding_box()
    tab.page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    tab.page.mouse.down(button=button)
    tab.page.mouse.move(box["x"] + (start[0] + end[0]) / 2, box["y"] + (start[1] + end[1]) / 2)
    tab.page.mouse.move(box["x"] + end[0], box["y"] + end[1])
    tab.page.mouse.up(button=button)


def look_around(tab: Tab) -> dict[str, Any]:
    """Another metric, view, scale, window, fold and cursor than at first; what the page then says of them."""
    tab.part("metric").select_option("rms")
    tab.part("view").select_option("mean")
    tab.part("scale").get_by_text("linear").click()
    tab.part("colours").select_option("viridis")
    tab.part("collapse-all").click()
    drag(tab, (100, 9), (300, 9))
    tab.part("heatmap").click(position={"x": 150, "y": 27})
    settled(tab)
    state = said(tab)
    assert state["window"] is not None
    assert "rms" in state["metric"]
    return state


def said(tab: Tab) -> dict[str, Any]:
    return {
        **tab.ask("health.state()"),
        "scale": tab.part("scale").locator("input:checked").get_attribute("value"),
        "colours": tab.part("colours").input_value(),
        "cursor": tab.frame.locator(".cell-frame.cursor").bounding_box(),
        "level": None,
    }


def same(tab: Tab, state: dict[str, Any]) -> None:
    """The page shows ``state``; places may differ by less than a pixel."""
    settled(tab)
    now = said(tab)
    for place in ("window", "cursor"):
        here, there = now.pop(place), {**state}[place]
        values = [list(x.values()) if isinstance(x, dict) else x for x in (here, there)]
        np.testing.assert_allclose(values[0], values[1], atol=1)
    assert now == {key: value for key, value in state.items() if key in now}


def test_the_state_survives_a_reload_and_another_tab(board: TensorBoard, open_tab: Any) -> None:
    tab = opened(board, open_tab, whole=True)
    state = look_around(tab)
    fragment = top_hash(tab, "p.gradhealth.cell=")
    assert fragment.startswith("#gradhealth&p.gradhealth.v=1&p.gradhealth.run=long%2Fgradhealth&")

    tab.page.reload()
    same(tab.ready(), state)
    tab.page.get_by_role("tab", name="Time Series").click()
    tab.page.wait_for_function("() => location.hash.startsWith('#timeseries')")
    tab.page.get_by_role("tab", name="Grad Health").click()
    same(tab, state)
    assert top_hash(tab, "#gradhealth") == fragment
    tab.page.get_by_role("tab", name="Time Series").click()
    tab.page.wait_for_function("() => location.hash.startsWith('#timeseries')")
    tab.page.reload()
    tab.page.get_by_role("tab", name="Grad Health").click()
    same(tab.ready(), state)
    assert tab.problems == []


def test_a_copied_link_shows_the_same_in_another_browser(board: TensorBoard, open_tab: Any, browser: Browser) -> None:
    tab = opened(board, open_tab, whole=True)
    state = look_around(tab)
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.part("copy-link").click()
    tab.frame.get_by_role("status").get_by_text("Link copied").wait_for()
    link = tab.page.evaluate("navigator.clipboard.readText()")
    other = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    other.add_init_script("localStorage.setItem('gradhealth.alerts', 'closed')")
    other.goto(link)
    there = Tab.__new__(Tab)
    there.page, there.problems, there.frame = other, [], other.frame_locator("iframe").first
    same(there.ready(), state)
    other.context.close()


def test_without_a_clipboard_the_link_is_there_to_be_copied(board: TensorBoard, open_tab: Any) -> None:
    tab = opened(board, open_tab, whole=True)
    tab.part("heatmap").evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    tab.part("copy-link").click()
    field = tab.part("link-field")
    field.wait_for()
    assert field.input_value().startswith(f"{board.url}#gradhealth&p.gradhealth.v=1&")
    assert field.evaluate("field => field.selectionEnd - field.selectionStart === field.value.length")
    tab.page.keyboard.press("Escape")
    field.wait_for(state="detached")
    assert tab.part("copy-link").evaluate("button => button === document.activeElement")


def test_a_link_in_the_address_bar_is_followed_and_back_leaves_the_tab(board: TensorBoard, open_tab: Any) -> None:
    tab = opened(board, open_tab, whole=True)
    entries = tab.page.evaluate("history.length")
    look_around(tab)
    fragment = top_hash(tab, "p.gradhealth.cell=")
    assert tab.page.evaluate("history.length") == entries, "what is shown must not fill the browser's history"
    tab.part("whole-run").click()
    tab.page.wait_for_function("() => !location.hash.includes('steps=')")
    tab.page.evaluate("fragment => { location.hash = fragment; }", fragment)
    tab.part("whole-run").wait_for()
    tab.page.evaluate("() => { location.hash = '#gradhealth&p.gradhealth.v=1&p.gradhealth.steps=%3Cimg%3E'; }")
    tab.part("whole-run").wait_for(state="detached")
    assert tab.problems == []


def test_drags_zoom_and_pan_and_there_is_a_way_back(board: TensorBoard, open_tab: Any) -> None:
    tab = opened(board, open_tab)
    width = tab.part("heatmap").bounding_box()["width"]
    box = tab.part("heatmap").bounding_box()
    tab.page.mouse.move(box["x"] + width / 4, box["y"] + 5)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + width / 2, box["y"] + 60)
    drawn = tab.frame.locator(".cell-frame.box").bounding_box()
    np.testing.assert_allclose([drawn["width"], drawn["height"]], [width / 4, 55], atol=2)
    tab.page.mouse.up()
    zoomed = window(tab)
    np.testing.assert_allclose(zoomed, [STEPS / 4, STEPS / 2], atol=8)
    for button, key in (("left", "Shift"), ("middle", None)):
        tab.page.wait_for_timeout(700)  # sooner, it would be one movement with the one before
        if key is not None:
            tab.page.keyboard.down(key)
        drag(tab, (width / 2, 9), (width / 4, 9), button)
        if key is not None:
            tab.page.keyboard.up(key)
        panned = window(tab)
        np.testing.assert_allclose(np.subtract(panned, zoomed), STEPS / 16, atol=4)
        tab.page.wait_for_timeout(700)
        tab.page.keyboard.press("Backspace")
        np.testing.assert_allclose(window(tab), zoomed)
    tab.part("zoom-back").click()
    assert window(tab) is None
    tab.page.keyboard.press("w")
    assert window(tab) is not None
    tab.part("heatmap").dblclick(position={"x": 200, "y": 20})
    assert window(tab) is None
    assert tab.problems == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_minimap_shows_the_run_and_moves_the_window(board: TensorBoard, open_tab: Any, dark: bool) -> None:
    tab = opened(board, open_tab, dark=dark)
    tab.page.keyboard.press("?")
    tab.page.keyboard.press("Escape")
    map_box, canvas = tab.part("minimap").bounding_box(), tab.part("heatmap").bounding_box()
    assert [map_box["x"], map_box["width"]] == [canvas["x"], canvas["width"]]
    drag(tab, (100, 9), (400, 9))
    settled(tab)
    pixels = np.asarray(Image.open(io.BytesIO(tab.page.screenshot(clip=map_box))).convert("RGB")).astype(int)
    red, green, blue = (pixels[-4, :, i] for i in range(3))
    marked = np.flatnonzero((red - green > 60) & (blue - green > 60))
    assert marked.size > 0, "a NaN outside the window must be seen on the minimap"
    np.testing.assert_allclose(marked.mean() / map_box["width"] * STEPS, BAD_STEP, atol=STEPS / 100)

    before = window(tab)
    middle = tab.part("minimap-window").bounding_box()
    tab.page.mouse.move(middle["x"] + middle["width"] / 2, middle["y"] + 10)
    tab.page.mouse.down()
    tab.page.mouse.move(middle["x"] + middle["width"] / 2 + 200, middle["y"] + 10, steps=3)
    tab.page.mouse.up()
    np.testing.assert_allclose(np.subtract(window(tab), before), 200 / map_box["width"] * STEPS, atol=4)
    tab.part("minimap-end").focus()
    tab.page.keyboard.press("End")
    assert window(tab)[1] >= STEPS
    assert tab.part("minimap-end").get_attribute("aria-valuetext") == f"step {window(tab)[1] - 1:,.0f}"
    tab.part("follow").click()
    assert tab.part("follow").get_attribute("aria-pressed") == "true"
    tab.part("minimap-window").focus()
    tab.page.keyboard.press("Home")
    assert window(tab)[0] == 0
    assert tab.part("follow").get_attribute("aria-pressed") == "false"
    assert tab.problems == []


def test_the_help_holds_the_focus_until_it_is_closed(board: TensorBoard, open_tab: Any) -> None:
    tab = opened(board, open_tab)
    tab.part("help").click()
    dialog = tab.part("help-dialog")
    dialog.get_by_text("Show the steps in the box").wait_for()
    for _ in range(6):
        tab.page.keyboard.press("Tab")
        # Behind the last control the browser's own come, then the first again.
        assert dialog.evaluate(
            "dialog => document.activeElement === document.body || dialog.contains(document.activeElement)"
        )
    before = window(tab)
    tab.page.keyboard.press("w")
    assert window(tab) == before, "keys belong to the dialog while it is open"
    tab.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert tab.part("help").evaluate("button => button === document.activeElement")


@pytest.mark.parametrize(("dark", "width"), [(False, 800), (True, 1400)])
def test_nothing_sticks_out_and_axe_finds_nothing(board: TensorBoard, open_tab: Any, dark: bool, width: int) -> None:
    tab = opened(board, open_tab, dark=dark, width=width, whole=True)
    drag(tab, (100, 9), (300, 9))
    tab.part("follow").click()
    settled(tab)
    page = "document.documentElement"
    assert tab.ask(f"{page}.scrollWidth <= {page}.clientWidth")
    frame = next(frame for frame in tab.page.frames if frame != tab.page.main_frame)
    frame.evaluate(AXE.read_text())
    for opener in (None, "help"):
        if opener is not None:
            tab.part(opener).click()
        found = frame.evaluate("async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.html)])")
        assert found == []
