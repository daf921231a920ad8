"""What can be taken away from the tab: the picture, the figures, the command."""

from __future__ import annotations

import base64
import csv
import io
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.synthetic import NAMES, Recording, gradients, measured

from .conftest import Tab, TensorBoard
from .test_heatmap import meta, settled

RUN = "exp 'one'/gradhealth"
STEPS, BAD_STEP = 300, 137

#: Where the picture has its heatmap: behind margin and names, below margin, caption and heading.
LEFT, TOP = 16 + 240, 16 + 118 + 44


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("exported")
    elements = gradients(STEPS, len(NAMES))
    elements[BAD_STEP, 2, 1] = np.inf
    Recording(measured(elements)).write(logdir / RUN)
    return logdir


@pytest.fixture(scope="module")
def board(logdir: Path) -> Iterator[TensorBoard]:
    served = TensorBoard(logdir)
    yield served
    served.stop()


def exported(tab: Tab, what: str) -> Any:
    """The file that an entry of the menu has the browser save."""
    tab.part("export").click()
    with tab.page.expect_download() as download:
        tab.part(what).click()
    return download.value


def open_command(tab: Tab) -> str:
    tab.part("export").press("ArrowDown")
    tab.frame.locator("[role=menuitem]:focus").wait_for()
    tab.page.keyboard.press("End")
    tab.page.keyboard.press("Enter")
    return str(tab.part("command").locator("pre").text_content())


def run_command(lines: str, logdir: Path) -> list[dict[str, str]]:
    """What a shell makes of the lines to copy, with the placeholder filled in."""
    first, command = lines.split("\n", 1)
    assert first == "LOGDIR=runs"
    ours = f"{shlex.quote(sys.executable)} -m tb_gradhealth export"
    script = f"LOGDIR={shlex.quote(str(logdir))}\n{command.replace('gradhealth export', ours, 1)}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


@pytest.mark.parametrize("dark", [False, True])
def test_the_picture_holds_the_heatmap_as_it_is(board: TensorBoard, open_tab: Any, dark: bool) -> None:
    tab = open_tab(board.url, dark=dark, rail="open").ready()
    tab.part("alert-marks-toggle").click()  # they lie over the page's canvas, and are part of the picture
    tab.part("alerts-close").click()
    settled(tab)
    tab.page.mouse.move(5, 5)
    saved = exported(tab, "export-png")
    assert saved.suggested_filename == "exp_one-gradients-norm-max-0_300.png"
    picture = np.asarray(Image.open(saved.path()).convert("RGB"))
    drawn = tab.part("heatmap").evaluate("canvas => canvas.toDataURL()").partition(",")[2]
    canvas = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn))).convert("RGB"))
    height = 18 * len(tab.ask("health.state().visibleNodes"))
    np.testing.assert_array_equal(
        picture[TOP : TOP + height, LEFT : LEFT + canvas.shape[1]],
        canvas[:height],
        "the picture's heatmap is the page's",
    )
    background = picture[2, 2].astype(int)
    assert (background.mean() < 60) == dark
    for part, what in (
        (picture[16:60, 16:], "caption"),
        (picture[74:110, 16:], "legend"),
        (picture[TOP:, 16:250], "names"),
    ):
        assert np.abs(part.astype(int) - background).max() > 120, f"the picture has no {what}"
    assert tab.problems == []


def test_the_figures_are_those_of_the_cells(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url).ready()
    tab.part("metric").select_option("norm")
    settled(tab)
    rows = list(csv.DictReader(io.StringIO(Path(exported(tab, "export-csv").path()).read_text())))
    names = meta(board, RUN)["nodes"]["name"]
    assert {row["node"] for row in rows} == set(names)
    assert len(rows) == len(names) * STEPS // 10
    elements = gradients(STEPS, len(NAMES))
    reference = np.sqrt(np.square(elements[:, 1]).sum(-1)).reshape(-1, 10).max(1)
    shown = [float(row["value"]) for row in rows if row["node"] == NAMES[1]]
    np.testing.assert_allclose(shown, reference, rtol=5e-3)
    bad = [row["node"] for row in rows if int(row["flags"]) & 2]
    assert set(bad) == {NAMES[2], "blocks.0.attn", "blocks.0", "blocks", ""}
    assert tab.problems == []


def test_the_command_exports_the_rows_and_steps_in_view(board: TensorBoard, open_tab: Any, logdir: Path) -> None:
    tab = open_tab(board.url).ready()
    tab.part("collapse-all").click()
    tab.part("heatmap").focus()
    for _ in range(3):
        tab.page.keyboard.press("+")
    settled(tab)
    rows = run_command(open_command(tab), logdir)
    names = meta(board, RUN)["nodes"]["name"]
    assert {row["node"] for row in rows} == {names[node] for node in tab.ask("health.state().visibleNodes")}
    assert min(int(row["start"]) for row in rows) > 0
    assert max(int(row["stop"]) for row in rows) < STEPS
    assert "norm_max" in rows[0]
    tab.page.keyboard.press("Escape")
    tab.part("command").wait_for(state="detached")
    assert tab.frame.locator(":focus").get_attribute("data-testid") == "export", "the focus returns to where it was"
    assert tab.problems == []
