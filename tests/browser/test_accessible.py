"""The tab without eyes and without a mouse: axe finds nothing, and the Tab key reaches everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugin import logs, noted
from tests.synthetic import Recording, recorded

from .conftest import Tab, TensorBoard
from .test_heatmap import settled

AXE = Path(__file__).parents[2] / "plugin_frontend" / "node_modules" / "axe-core" / "axe.min.js"
THEMES_AND_WIDTHS = [(False, 800), (True, 1600)]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """Every kind of run, of which ``noted`` has all there is to show."""
    logdir = logs.write(tmp_path_factory.mktemp("accessible"))
    noted.write(logdir / "noted")
    Recording(recorded(300)).write(logdir / "other" / "gradhealth")
    served = TensorBoard(logdir)
    yield served
    served.stop()


def frame_of(tab: Tab) -> Any:
    return next(frame for frame in tab.page.frames if frame.parent_frame is not None)


def assert_accessible(tab: Tab) -> None:
    """No violation of any of axe's rules in the tab."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in plugin_frontend")
    frame = frame_of(tab)
    frame.evaluate(AXE.read_text())
    found = frame.evaluate("async () => (await axe.run(document)).violations")
    told = [
        (one["id"], [node["html"][:200] for node in one["nodes"]][:3], one["nodes"][0]["failureSummary"])
        for one in found
    ]
    assert told == []


@pytest.mark.parametrize(("dark", "width"), THEMES_AND_WIDTHS)
def test_axe_finds_nothing_in_the_heatmap(board: TensorBoard, open_tab: Any, dark: bool, width: int) -> None:
    tab = open_tab(board.url, dark=dark, width=width).ready()
    tab.choose_run("noted/gradhealth")
    settled(tab)
    tab.part("heatmap").hover(position={"x": 100, "y": 30})
    tab.part("tooltip").locator("dl").wait_for()
    assert_accessible(tab)
    tab.part("run-picker").click()
    assert_accessible(tab)
    tab.page.keyboard.press("Escape")
    tab.part("export").click()
    assert_accessible(tab)
    tab.part("export-command").click()
    tab.part("command").wait_for()
    assert_accessible(tab)
    tab.part("command-close").click()
    tab.part("compare").click()
    tab.choose_run("other/gradhealth", "compare-picker")
    tab.part("second-heatmap").wait_for()
    assert_accessible(tab)
    assert tab.problems == []


@pytest.mark.parametrize(("dark", "width"), THEMES_AND_WIDTHS)
def test_axe_finds_nothing_in_damaged_runs_and_one_without_data(
    board: TensorBoard, open_tab: Any, dark: bool, width: int
) -> None:
    tab = open_tab(board.url, dark=dark, width=width).ready()
    tab.choose_run("damaged/gradhealth")
    tab.part("notice").get_by_text("are damaged").wait_for()
    assert_accessible(tab)
    for run, words in (("future/gradhealth", "cannot be read"), ("plain", "No Grad Health data")):
        tab.choose_run(run)
        tab.part("message").get_by_text(words).first.wait_for()
        assert_accessible(tab)


@pytest.mark.parametrize(("dark", "width"), THEMES_AND_WIDTHS)
def test_axe_finds_nothing_where_there_is_no_data(
    empty_board: TensorBoard, open_tab: Any, dark: bool, width: int
) -> None:
    tab = open_tab(empty_board.url, dark=dark, width=width)
    tab.part("empty-state").wait_for(timeout=30_000)
    assert_accessible(tab)


FOCUSED = """() => {
  const one = document.activeElement;
  const shown = [one, one.closest('.segments')].some(
    (part) => part !== null && getComputedStyle(part).outlineStyle !== 'none',
  );
  return [one.dataset.testid ?? (one.name || one.tagName), shown];
}"""


def test_the_tab_key_reaches_everything_and_shows_where_it_is(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url).ready()
    tab.choose_run("noted/gradhealth")
    settled(tab)
    tab.part("compare").click()
    tab.choose_run("other/gradhealth", "compare-picker")
    tab.part("second-heatmap").wait_for()
    frame = frame_of(tab)
    tab.part("run-picker").focus()
    seen, unseen = [], []
    for _ in range(60):
        name, shown = frame.evaluate(FOCUSED)
        seen.append(name)
        if not shown:
            unseen.append(name)
        if name == "compare-close":
            break
        tab.page.keyboard.press("Tab")
    assert unseen == [], "the focus must be visible"
    expected = ["run-picker", "stream", "metric", "view", "scale", "colours", "compare-picker", "export", "fit"]
    expected += ["expand-all", "collapse-all", "mark", "treeitem", "heatmap", "compare-close"]
    missing = [name for name in expected if name not in seen]
    assert missing == [], f"reached {seen}"
    order = [seen.index(name) for name in expected]
    assert order == sorted(order), f"in the order of the page, not {seen}"


def test_a_run_is_found_and_compared_by_keyboard_alone(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url).ready()
    keyboard = tab.page.keyboard
    tab.part("run-picker").focus()
    keyboard.type("oth")
    keyboard.press("Enter")
    settled(tab)
    assert tab.ask("health.state().run") == "other/gradhealth"
    tab.part("compare").focus()
    keyboard.press("Enter")
    keyboard.type("noted")
    keyboard.press("Enter")
    tab.part("second-heatmap").wait_for()
    assert tab.ask("health.state().compared.run") == "noted/gradhealth"
    tab.part("heatmap").focus()
    keyboard.press("ArrowRight")
    said = tab.part("read-out").get_by_text("Second run")
    said.wait_for(state="attached")
    keyboard.press("Escape")
    tab.part("compare-close").focus()
    keyboard.press("Enter")
    tab.part("second").wait_for(state="detached")
    assert tab.problems == []
