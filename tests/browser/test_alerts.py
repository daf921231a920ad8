"""What was found in a run: listed, marked on the heatmap and gone to, in a real browser over a real TensorBoard."""

from __future__ import annotations

import functools
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Route

from tb_gradhealth.plugin.rules import RULES, SEVERITIES

from .conftest import PLANTED_STEP, PLANTED_TENSOR, Tab, TensorBoard
from .test_heatmap import RUN, meta, pixels, settled

FRONT_END = Path(__file__).parents[2] / "plugin_frontend"
#: The fill of a critical mark; nothing in cividis or in the colour of non-finite cells is near it.
CRITICAL = (255, 98, 87)


def found(board: TensorBoard) -> list[dict[str, Any]]:
    query = urllib.parse.urlencode({"run": RUN, "stream": "gradients"})
    with urllib.request.urlopen(f"{board.url}data/plugin/gradhealth/alerts?{query}") as answer:
        alerts: list[dict[str, Any]] = json.load(answer)["alerts"]
    return alerts


def diagnosed(board: TensorBoard) -> list[dict[str, Any]]:
    """Findings that are no hints: they are marked and gone to as alerts are."""
    query = urllib.parse.urlencode({"run": RUN})
    try:
        with urllib.request.urlopen(f"{board.url}data/plugin/gradhealth/findings?{query}") as answer:
            return [one for one in json.load(answer)["findings"] if one["severity"] != "notice"]
    except urllib.error.HTTPError:
        return []


def opened(tab: Tab) -> Tab:
    """Wait for the run, its alerts and their marks."""
    tab.ready().choose_run(RUN)
    settled(tab)
    tab.part("alert").first.wait_for()  # a critical one opens the rail
    tab.frame.locator("[data-testid=alert-marks][data-count]:not([data-count='0'])").wait_for(state="attached")
    return tab


def critical_share(tab: Tab, node: int, step: int) -> float:
    cell = pixels(tab, node, step).astype(int)
    return float(np.mean(np.abs(cell - CRITICAL).max(axis=-1) < 30))


def cursor(tab: Tab) -> Any:
    """The frame around the cursor's cell, relative to the heatmap."""
    frame, canvas = tab.frame.locator(".cell-frame.cursor").bounding_box(), tab.part("heatmap").bounding_box()
    return frame["x"] - canvas["x"], frame["y"] - canvas["y"]


def axe(tab: Tab, *parts: str) -> list[str]:
    """Broken rules of the Web Content Accessibility Guidelines in some parts of the tab."""
    source = (FRONT_END / "node_modules/axe-core/axe.min.js").read_text()
    frame = tab.part("heatmap").element_handle().owner_frame()
    frame.evaluate(source)
    include = [[f"[data-testid={part}]"] for part in parts]
    broken: list[str] = frame.evaluate(
        "async include => (await axe.run({include}, {rules: {'region': {enabled: false}}})).violations"
        ".map(v => `${v.id}: ${v.nodes.map(n => n.html + n.failureSummary).join()}`)",
        include,
    )
    return broken


def test_the_rail_explains_exactly_the_kinds_that_the_backend_looks_for() -> None:
    explained = (FRONT_END / "src/alerts/looked_for.ts").read_text()
    assert re.findall(r"kind: '(\w+)'", explained) == [rule.kind for rule in RULES]
    table = (FRONT_END / "src/alerts/kinds.ts").read_text()
    assert re.findall(r"'(\w+)'", table.split("SEVERITIES")[1].split(";")[0]) == list(SEVERITIES)


def test_a_planted_nan_opens_the_rail_and_its_alert_leads_to_the_cell(board: TensorBoard, open_tab: Any) -> None:
    alerts = found(board)
    names = meta(board)["nodes"]["name"]
    planted = names.index(PLANTED_TENSOR)
    nan = next(alert for alert in alerts if alert["kind"] == "nan" and alert["node"] == planted)
    for dark in (False, True):
        tab = open_tab(board.url, dark=dark, rail=None).ready()
        tab.choose_run(RUN)
        tab.part("alert-rail").wait_for()  # by itself, as there is something critical
        item = tab.frame.locator(f"[data-alert='{nan['id']}']")
        item.wait_for()
        assert tab.part("alert").count() == len(alerts)
        assert PLANTED_TENSOR in item.text_content()
        assert "switches to" not in item.text_content(), "a NaN shows at every metric"
        tab.part("metric").select_option("rms")
        tab.part("collapse-all").click()
        settled(tab)
        assert planted not in tab.ask("health.state().visibleNodes")
        item.click()
        settled(tab)
        assert tab.ask("health.state().metric") == "rms"
        assert nan["metric"] == "norm"
        rect = tab.ask(f"health.rectOf({planted}, {PLANTED_STEP})")
        np.testing.assert_allclose(cursor(tab), (rect["x"], rect["y"]), atol=3)
        assert axe(tab, "alert-rail", "alerts-toggle") == []
        assert tab.problems == []


def test_marks_stand_on_cells_or_on_folded_modules_and_can_be_hidden(board: TensorBoard, open_tab: Any) -> None:
    names = meta(board)["nodes"]["name"]
    planted, body, healthy = (names.index(name) for name in (PLANTED_TENSOR, "body", "body.0.weight"))
    for dark in (False, True):
        tab = opened(open_tab(board.url, dark=dark, rail=None))
        tab.page.wait_for_timeout(200)
        assert critical_share(tab, planted, PLANTED_STEP) > 0.02
        assert critical_share(tab, healthy, PLANTED_STEP) == 0
        corner = pixels(tab, planted, PLANTED_STEP)[0, 0].astype(int)
        assert np.abs(corner - (196, 0, 150)).max() < 10, "the cell itself shows beside its mark"
        tab.part("collapse-all").click()
        tab.frame.locator(f"[data-testid=treeitem][data-node='{body}']").wait_for()
        settled(tab)
        tab.page.wait_for_timeout(200)
        assert critical_share(tab, body, PLANTED_STEP) > 0.02
        tab.part("alert-marks-toggle").uncheck()
        tab.frame.locator("[data-testid=alert-marks][data-count='0']").wait_for(state="attached")
        assert critical_share(tab, body, PLANTED_STEP) == 0
        assert tab.problems == []


def test_comma_and_full_stop_go_through_all_alerts_in_the_order_of_steps(board: TensorBoard, open_tab: Any) -> None:
    every = [*found(board), *diagnosed(board)]
    tab = opened(open_tab(board.url, rail=None))
    tab.part("alerts-close").click()
    told = tab.part("alert-told")
    seen = []
    for number in [*range(1, len(every) + 1), 1]:
        tab.page.keyboard.press(".")
        told.get_by_text(f" {number} of {len(every)}, ").wait_for()
        seen.append(told.inner_text())
    assert "From the last back to the first" in seen[-1]
    for alert in every:
        assert any(alert["text"] in text for text in seen), alert
    order = {alert["text"]: alert["steps"][0] for alert in every}
    steps = [next(step for text, step in order.items() if text in said) for said in seen[:-1]]
    assert steps == sorted(steps)
    tab.page.keyboard.press(",")
    told.get_by_text(f" {len(every)} of {len(every)}, ").wait_for()
    field = tab.part("range-hi")
    field.focus()
    tab.page.keyboard.press(".")
    tab.page.wait_for_timeout(200)
    assert f" {len(every)} of" in told.inner_text(), "a point in a number is a point"
    assert tab.problems == []


def test_a_narrow_page_keeps_the_rail_closed_until_asked_and_remembers_it(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url, width=800, rail=None).ready()
    tab.choose_run(RUN)
    settled(tab)
    tab.part("critical-count").wait_for()
    assert tab.part("alert-rail").count() == 0
    before = tab.part("heatmap").bounding_box()
    tab.part("alerts-toggle").click()
    tab.part("alert-rail").wait_for()
    assert tab.part("heatmap").bounding_box() == before, "the rail lies upon the heatmap and does not move it"
    page = "document.documentElement"
    assert tab.ask(f"{page}.scrollWidth <= {page}.clientWidth")
    tab.reload()
    tab.ready().part("alert-rail").wait_for()
    tab.part("alert").first.press("Escape")
    assert tab.part("alert-rail").count() == 0
    assert tab.problems == []


def _answer(reply: dict[str, Any], route: Route) -> None:
    route.fulfill(**reply)


def test_without_alerts_or_without_their_route_the_heatmap_is_as_ever(board: TensorBoard, open_tab: Any) -> None:
    for reply, part, words in (
        ({"json": {"alerts": [], "complete": True}}, "alerts-empty", "Nothing found in steps 0–399"),
        ({"status": 422, "json": {"error": "expected rows, got <b>none</b>"}}, "alerts-problem", "got <b>none</b>"),
        ({"status": 404, "body": "<html>not here</html>"}, "alerts-problem", "HTTP status 404"),
    ):
        tab = open_tab(board.url, rail="open")
        tab.page.route("**/gradhealth/alerts?*", functools.partial(_answer, reply))
        tab.reload()
        tab.ready().choose_run(RUN)
        settled(tab)
        tab.part(part).get_by_text(words).wait_for()
        assert tab.part("notice").count() == 0
        assert tab.problems == []
