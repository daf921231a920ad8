"""A run that is being written while somebody looks at it: real writer, real event file, real TensorBoard."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import torch

from tb_gradhealth import GradHealthWriter
from tests.writer.loops import Net, losses

from .conftest import Tab, TensorBoard
from .test_heatmap import pixels, settled

#: Steps at a time; the writer has the last one once the next has begun.
MORE = 40


def reaches(tab: Tab, step: int) -> None:
    """Wait until the heatmap has a cell of that step, drawn."""
    tab.page.wait_for_function(
        "step => [...document.querySelectorAll('iframe')].some(f => f.contentWindow.gradHealth?.rectOf(0, step))",
        arg=step,
        timeout=60_000,
    )
    settled(tab)
    tab.page.mouse.move(5, 5)
    tab.page.wait_for_timeout(100)
    assert pixels(tab, 0, step).max() < 250, "a norm has a colour, and no data is the page's white"


def test_the_newest_steps_appear_without_a_reload_and_are_followed(tmp_path: Path, open_tab: Any) -> None:
    model = Net()
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-3)
    with GradHealthWriter(optimizer, model, logdir=tmp_path / "growing", every=1):
        training = losses(model, 3 * MORE)

        def train_more() -> None:
            for _ in itertools.islice(training, MORE):
                optimizer.step()

        train_more()
        board = TensorBoard(tmp_path, "--reload_interval", "1")
        try:
            tab = open_tab(board.url).ready()
            reaches(tab, MORE - 2)
            tab.ask("window.same = true")
            train_more()
            reaches(tab, 2 * MORE - 2)
            assert tab.ask("health.state().window") is None
            tab.part("heatmap").focus()
            tab.page.keyboard.press("w")
            tab.part("follow").click()
            start, end = tab.ask("health.state().window")
            assert end == 2 * MORE - 1
            train_more()
            reaches(tab, 3 * MORE - 2)
            assert tab.ask("health.state().window") == [start + MORE, end + MORE]
            assert tab.part("follow").get_attribute("aria-pressed") == "true"
            assert tab.ask("window.same") is True
            assert tab.problems == []
        finally:
            board.stop()
