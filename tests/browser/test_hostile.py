"""Names of runs and tensors come from files, and may be anything: nothing executes, nothing breaks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.synthetic import Recording, recorded

from .conftest import Tab, TensorBoard
from .test_exports import exported, open_command, run_command
from .test_heatmap import meta, settled

IMAGE = "<img src=x onerror='pwned=1'>"
TENSORS = (
    IMAGE,
    "a.</bdi></div><script>pwned=1</script>",
    "a.\u202eevil\u2066.weight",
    "long." + "x" * 5000,
    "lines.\none\r\n\ttwo",
    "=1+1",
    "$(touch pwned)`id`'\"",
    "__proto__.constructor",
)
RUNS = (IMAGE.replace("/", ""), "\u202eevil", "two\nlines", "y" * 200, "it's $HOME `id`")


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("hostile")
    for seed, run in enumerate(RUNS):
        Recording(recorded(60, len(TENSORS), seed), names=TENSORS).write(logdir / run / "gradhealth")
    return logdir


@pytest.fixture(scope="module")
def board(logdir: Path) -> Iterator[TensorBoard]:
    served = TensorBoard(logdir)
    yield served
    served.stop()


def assert_harmless(tab: Tab) -> None:
    assert tab.problems == []
    assert tab.ask("[window.pwned, document.querySelector('main img, main script')]") == [None, None]
    page = "document.documentElement"
    assert tab.ask(f"{page}.scrollWidth <= {page}.clientWidth && {page}.scrollHeight <= {page}.clientHeight")


@pytest.mark.parametrize("width", [800, 1600])
def test_tree_tooltip_and_picker_show_them_as_text(board: TensorBoard, open_tab: Any, width: int) -> None:
    tab = open_tab(board.url, width=width).ready()
    for run in RUNS:
        tab.part("run-picker").click()
        options = tab.part("run-option")
        names = options.evaluate_all("all => all.map(one => one.dataset.run)")
        options.nth(names.index(f"{run}/gradhealth")).click()
        settled(tab)
        assert tab.ask("health.state().run") == f"{run}/gradhealth"
        assert_harmless(tab)
    tab.part("expand-all").click()
    settled(tab)
    names = meta(board, f"{RUNS[0]}/gradhealth")["nodes"]["name"]
    assert set(TENSORS) <= set(names)
    for node in tab.ask("health.state().visibleNodes"):
        rect = tab.ask(f"health.rectOf({node}, 30)")
        tab.part("heatmap").hover(position={"x": rect["x"] + 2, "y": rect["y"] + rect["height"] / 2})
        tooltip = tab.part("tooltip")
        assert names[node][:20].strip() in tooltip.text_content()
        tooltip.locator("dl").wait_for()  # the exact figures, which may name a tensor inside
        box = tooltip.bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert 0 <= box["y"] <= box["y"] + box["height"] <= 900
    assert_harmless(tab)


def test_the_heading_of_a_second_run_holds_them(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url, width=1600).ready()
    for run in RUNS:
        if tab.ask("health.state().run") == f"{run}/gradhealth":
            continue
        if tab.part("compare").count():
            tab.part("compare").click()
        else:
            tab.part("compare-picker").click()
        tab.page.keyboard.press("ArrowDown")
        options = tab.part("run-option")
        names = options.evaluate_all("all => all.map(one => one.dataset.run)")
        options.nth(names.index(f"{run}/gradhealth")).click()
        tab.part("second-heatmap").wait_for()
        assert_harmless(tab)
        assert tab.part("second").bounding_box()["width"] < 800


def test_exports_hold_them(board: TensorBoard, open_tab: Any, logdir: Path) -> None:
    tab = open_tab(board.url).ready()
    tab.part("expand-all").click()
    settled(tab)
    shown = tab.ask("health.state().run")
    saved = exported(tab, "export-png")
    assert len(saved.suggested_filename) < 200
    assert saved.suggested_filename.isascii()
    assert Image.open(saved.path()).size[0] > 1000
    names = meta(board, shown)["nodes"]["name"]
    rows = list(csv.DictReader(io.StringIO(Path(exported(tab, "export-csv").path()).read_text())))
    assert len({row["node"] for row in rows}) == len(names)
    assert not any(row["node"].startswith("=") for row in rows), "a spreadsheet takes none for a formula"
    tab.part("collapse-all").click()
    settled(tab)
    visible = [names[node] for node in tab.ask("health.state().visibleNodes")]
    found = {row["node"] for row in run_command(open_command(tab), logdir)}
    assert len(found) == len(visible)
    assert IMAGE in found
    assert not Path("pwned").exists()
    assert_harmless(tab)
