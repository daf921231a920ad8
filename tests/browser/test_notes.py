"""What happened at single steps, and a second stream, as a person sees them in the tab."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import expect

from tests.plugin import noted

from .conftest import Tab, TensorBoard
from .test_heatmap import hover, meta, settled

RUN = "noted/gradhealth"


def opened(noted_board: TensorBoard, open_tab: Any, **options: Any) -> Tab:
    tab: Tab = open_tab(noted_board.url, **options).ready()
    tab.choose_run(RUN)
    settled(tab)
    tab.part("mark").first.wait_for()
    return tab


def looks(tab: Tab) -> list[str]:
    found: list[str] = tab.part("mark").evaluate_all("marks => marks.map(mark => mark.dataset.looks)")
    return found


def told(tab: Tab, mark: Any) -> str:
    mark.hover()
    return str(tab.part("strip-tooltip").inner_text())


def test_each_thing_that_happened_has_a_mark_and_is_told_in_words(noted_board: TensorBoard, open_tab: Any) -> None:
    for dark in (False, True):
        tab = opened(noted_board, open_tab, dark=dark)
        assert tab.part("strip").get_attribute("aria-label") == (
            "1 divergence between ranks, 31 skipped steps, 1 rewind, 1 resume, 1 set of gradients dropped, 1 other note"
        )
        found = looks(tab)
        assert [found[0], found[1], found[-3:]] == ["not_stepped", "skipped", ["rewind", "other", "resume"]]
        assert "diverged" in found
        marks = tab.part("mark")
        assert told(tab, marks.first) == "Step 88: gradients dropped by zero_grad without a step (norm 3.2)"
        assert told(tab, marks.nth(1)) == (
            "Step 120: skipped by the GradScaler at loss scale 65,536. "
            "Non-finite: blocks.0.attn.weight (NaN 3, +Inf 1), blocks.0.norm (-Inf 2) and 12 more"
        )
        rewind: Any = tab.frame.locator("[data-looks=rewind]")
        assert told(tab, rewind).startswith(
            "Steps from 1,000 on were recorded again: the run went back from step 1,200 (session of "
        )
        # The line stands at the left edge of the step that was recorded again.
        box, canvas = rewind.bounding_box(), tab.part("heatmap").bounding_box()
        edge = canvas["x"] + tab.ask(f"health.rectOf(0, {noted.REWOUND_TO})")["x"]
        assert abs(box["x"] + box["width"] / 2 - edge) < 1
        assert tab.problems == []


def test_a_click_zooms_to_the_step_and_the_burst_comes_apart(noted_board: TensorBoard, open_tab: Any) -> None:
    tab = opened(noted_board, open_tab)
    before = len(looks(tab))
    burst = tab.frame.get_by_role("button", name="Step 300:")
    assert "and " in told(tab, burst)
    burst.click()
    settled(tab)
    assert tab.ask("health.state().level") == 0
    assert tab.ask(f"health.rectOf(0, {noted.REWOUND_TO})") is None, "zoomed in"
    assert len(looks(tab)) > 1
    assert len(tab.part("strip").get_attribute("aria-label")) > 20, "the summary stays that of the run"
    tab.part("whole-run").click()
    settled(tab)
    assert len(looks(tab)) == before


def test_marks_can_be_reached_and_read_by_keyboard(noted_board: TensorBoard, open_tab: Any) -> None:
    tab = opened(noted_board, open_tab)
    tab.part("mark").first.focus()
    for _ in range(2):
        tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("ArrowLeft")
    assert "Step 120: skipped" in tab.part("strip-tooltip").inner_text()
    tab.page.keyboard.press("Escape")
    tab.part("strip-tooltip").wait_for(state="detached")
    tab.page.keyboard.press("Enter")
    tab.part("whole-run").wait_for()
    assert tab.problems == []


def test_a_run_without_any_has_no_strip(noted_board: TensorBoard, open_tab: Any) -> None:
    tab = opened(noted_board, open_tab)
    tab.choose_run("quiet/gradhealth")
    tab.part("strip").wait_for(state="detached")
    settled(tab)


def test_a_tied_tensor_says_its_other_name(noted_board: TensorBoard, open_tab: Any) -> None:
    tab = opened(noted_board, open_tab)
    names = meta(noted_board, RUN)["nodes"]["name"]
    assert f"also {noted.ALIAS}" in hover(tab, names.index(noted.TIED), 500).inner_text()
    assert "also" not in hover(tab, names.index("head.weight"), 500).inner_text()


def test_streams_switch_in_place_and_each_is_called_by_its_own_label(noted_board: TensorBoard, open_tab: Any) -> None:
    tab = opened(noted_board, open_tab)
    applied, before = noted.STREAMS.values()
    node = meta(noted_board, RUN)["nodes"]["name"].index("head.weight")
    assert tab.part("stream").input_value() == "gradients"
    tab.frame.get_by_role("button", name="Step 300:").click()
    settled(tab)
    place, norms = tab.ask(f"health.rectOf({node}, 310)"), []
    for stream, own, other in (("gradients", applied, before), ("unclipped", before, applied)):
        tab.part("stream").select_option(stream)
        # The picture stays until what is known of the other stream has come.
        expect(tab.part("stream-label")).to_have_text(own)
        settled(tab)
        assert tab.part("stream-label").inner_text() == own
        assert own in tab.part("heatmap").get_attribute("aria-label")
        tooltip = hover(tab, node, 310)
        figures = tooltip.locator("dd").first
        figures.wait_for()
        text = tooltip.inner_text()
        assert (own in text, other in text) == (True, False)
        norms.append([float(part) for part in figures.inner_text().split("·")])
        assert tab.ask(f"health.rectOf({node}, 310)") == place, "the viewport stays"
        assert len(looks(tab)) > 1, "notes are those of the run"
    np.testing.assert_allclose(norms[1], np.multiply(norms[0], noted.CLIPPED), rtol=5e-3)
    assert tab.problems == []
