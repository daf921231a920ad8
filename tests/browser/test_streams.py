"""Streams in a real browser: of the same and of other tensors, chosen, told, kept in a link, left for an alert."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.store.format import PLUGIN
from tests.synthetic import NAMES, Recording, gradients, measured, recorded
from tests.writer.loops import Net, losses

from .conftest import Tab, TensorBoard
from .test_heatmap import hover, magenta, meta, pixels, settled

RUN, MIXED = "every/gradhealth", "mixed/gradhealth"
STEPS, EVERY, BAD_STEP = 240, 10, 120
#: Outputs of modules; of some the name is that of a module of parameters.
OUTPUTS = ("body.0", "body.2", "body.relu.out", "head")
WHAT = "activation"


class Outputs(Recording):
    """A stream with nodes of its own."""

    @property
    def schema(self) -> Any:
        return replace(super().schema, stream="outputs", label="Outputs", what=WHAT, sampled=True)


@pytest.fixture(scope="module")
def streams_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """``every`` has all that a writer records of parameters, ``mixed`` gradients and outputs."""
    logdir = tmp_path_factory.mktemp("streams")
    model = Net()
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with GradHealthWriter(optimizer, model, logdir=logdir / "every", every=EVERY, streams="all"):
        for _ in losses(model, STEPS):
            optimizer.step()
    elements = gradients(STEPS, len(NAMES))
    elements[BAD_STEP, NAMES.index("head.weight"), 0] = np.nan
    Recording(measured(elements)).write(logdir / "mixed" / PLUGIN)
    other = Outputs(recorded(STEPS, len(OUTPUTS)), OUTPUTS).write(logdir / "mixed" / PLUGIN)
    other.rename(other.parent / "events.out.tfevents.9.outputs")
    served = TensorBoard(logdir, "--load_fast=true")
    yield served
    served.stop()


def shows(tab: Tab, stream: str, metric: str) -> None:
    """Wait for the whole picture of a stream's metric."""
    tab.page.wait_for_function(
        """([stream, metric]) => [...document.querySelectorAll('iframe')].some(frame => {
            const state = frame.contentWindow.gradHealth?.state();
            return state?.complete && state.stream === stream && state.metric === metric;
        })""",
        arg=[stream, metric],
        timeout=20_000,
    )


def turned(tab: Tab, stream: str, metric: str) -> None:
    tab.part("stream").select_option(stream)
    shows(tab, stream, metric)


def rows(tab: Tab) -> list[str]:
    return [text.strip() for text in tab.part("treeitem").all_inner_texts()]


@pytest.mark.parametrize(("dark", "width"), [(False, 1400), (True, 800)])
def test_streams_are_chosen_told_kept_and_left(
    streams_board: TensorBoard, open_tab: Any, dark: bool, width: int
) -> None:
    tab = open_tab(streams_board.url, dark=dark, width=width, height=1000).ready()
    tab.choose_run(RUN)
    settled(tab)
    names = meta(streams_board, RUN)["nodes"]["name"]
    nodes, tensor = tab.ask("health.state().visibleNodes"), names.index("body.0.weight")
    assert tab.part("sampled").count() == 0

    # The very same tensors: the same rows and metric, other colours and words.
    before = pixels(tab, tensor, 50).reshape(-1, 3)[0].tolist()
    turned(tab, "weights", "norm")
    assert tab.ask("health.state().visibleNodes") == nodes
    assert tab.part("sampled").inner_text() == "sampled"
    assert "no weight" in tab.part("legend").inner_text()
    assert pixels(tab, tensor, 50).reshape(-1, 3)[0].tolist() != before
    tooltip = hover(tab, tensor, 50)
    tooltip.get_by_text("in 1 of 1 sampled step").wait_for()
    assert tooltip.get_by_text("with weight").count() == 1
    # What this one alone has comes first; rows of the spectrum are ten times as long.
    turned(tab, "updates", "update_ratio")
    turned(tab, "spectrum", "rank")
    hover(tab, tensor, 150).get_by_text("steps 100–199").first.wait_for()

    # A run without it shows its first one, and says so.
    tab.choose_run(MIXED)
    shows(tab, "gradients", "norm")
    tab.part("notice").get_by_text("no stream spectrum").wait_for()
    # Other tensors: rows are those of the outputs, in a link as well.
    turned(tab, "outputs", "norm")
    assert "relu" in rows(tab)
    assert "weight" not in rows(tab)
    assert tab.ask("health.state().visibleNodes.length") == 1 + len(OUTPUTS) + 2
    assert "sampled" in tab.part("stream").locator("option:checked").inner_text()
    tab.page.wait_for_function("() => /stream=outputs.*metric=norm/.test(location.hash)")
    tab.reload()
    tab.ready()
    shows(tab, "outputs", "norm")
    assert "relu" in rows(tab)

    # Alerts are the gradients': going to one shows them, and the way back is open.
    tab.part("alerts-toggle").click()
    alert = tab.part("alert").first
    alert.get_by_text("switches to Gradients (applied)").wait_for()
    assert tab.part("alert-marks").get_attribute("data-count") == "0"
    alert.click()
    shows(tab, "gradients", "norm")
    tab.part("alerts-close").click()
    assert magenta(pixels(tab, meta(streams_board, MIXED)["nodes"]["name"].index("head.weight"), BAD_STEP)) > 0
    turned(tab, "outputs", "norm")

    # Streams are kept from run to run.
    tab.choose_run(RUN)
    shows(tab, "gradients", "norm")
    tab.choose_run(MIXED)
    shows(tab, "outputs", "norm")
    assert tab.problems == []


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 800)])
def test_the_histogram_of_exponents_at_the_clicked_step(
    streams_board: TensorBoard, open_tab: Any, dark: bool, width: int
) -> None:
    tab = open_tab(streams_board.url, dark=dark, width=width, height=1000).ready()
    tab.choose_run(RUN)
    settled(tab)
    bar = tab.part("run-picker").bounding_box(), tab.part("help").bounding_box()
    assert (abs(bar[0]["y"] - bar[1]["y"]) < 5) == (width >= 1280), "one row from 1280 pixels on"
    assert max(box["x"] + box["width"] for box in bar) <= width
    node = meta(streams_board, RUN)["nodes"]["name"].index("body.0.weight")
    rect = tab.ask(f"health.rectOf({node}, 125)")
    tab.part("heatmap").click(position={"x": rect["x"] + rect["width"] / 2, "y": rect["y"] + rect["height"] / 2})
    tab.part("chart").wait_for()
    tab.part("drill-exponents").check(force=True)
    tab.part("formats").wait_for()
    assert tab.part("exponents-steps").inner_text() == "1 sampled step of steps 120–129"
    route = f"{streams_board.url}data/plugin/gradhealth/exponents"
    query = {"run": RUN, "stream": "gradients", "node": node, "begin": 125, "end": 126}
    histogram = tab.page.request.get(route, params=query).json()["histogram"]
    # Bars are as high as their shares, of the panel's own height.
    bars = tab.part("exponents-bars")
    heights = bars.evaluate(
        "all => [...all.children].map(bin => bin.querySelector('.exponent-bar')?.getBoundingClientRect().height ?? 0)"
    )
    shares = np.array([one["mean"] for one in histogram["bins"]])
    np.testing.assert_allclose(np.array(heights) / max(heights), shares / shares.max(), atol=2.5 / max(heights))
    lost = tab.frame.locator("[data-format=float8_e4m3fn] [data-fate=zero]").get_attribute("title")
    assert float(lost) == histogram["formats"][2]["underflow"]["mean"]
    # With the keys and the pointer, bin by bin.
    peak = int(shares.argmax())
    bars.focus()
    tab.page.keyboard.press("ArrowRight")
    assert bars.get_attribute("aria-valuenow") == str(peak + 1)
    box = bars.bounding_box()
    tab.page.mouse.move(box["x"] + (peak + 0.5) * box["width"] / len(shares), box["y"] + 5)
    tab.page.wait_for_function(
        """peak => [...document.querySelectorAll('iframe')].some(frame => frame.contentDocument.querySelector(
            '[data-testid=exponents-bars]')?.getAttribute('aria-valuenow') === String(peak))""",
        arg=peak,
    )
    # A link keeps it.
    tab.page.wait_for_function("() => /picture=exponents/.test(location.hash)")
    assert tab.problems == []
