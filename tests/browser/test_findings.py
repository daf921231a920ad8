"""The rail's diagnosis over a real run: what is asked of the server is answered here, in the words of http_api.md."""

from __future__ import annotations

import urllib.parse
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route

from .conftest import PLANTED_STEP, PLANTED_TENSOR, Tab, TensorBoard
from .test_alerts import axe, cursor
from .test_heatmap import RUN, meta, settled

IMAGE = "<img src=x onerror='pwned=1'>"
ROUTE = "**/gradhealth/findings?*"


def finding(rule: str, severity: str, name: str = "", node: int | None = None, **other: Any) -> dict[str, Any]:
    start, stop = steps = other.pop("steps", [130, 140])
    where = f"{name or 'the whole model'}, steps {start} to {stop - 1}, seen at step {start}"
    about = {"type": "NUMERICAL", "detected": start, "evidence": ["loss 31.2 (reference 2.31)"], "follows": ""}
    about |= {"causes": ["the first cause", "the second cause"], "actions": ["the action"], "innocent": "the innocent"}
    about["text"] = f"NUMERICAL in {where}: what {rule} says"
    keys = {"id": f"{rule}:{name}:{start}", "severity": severity, "rule": rule, "name": name, "node": node}
    return {**keys, "steps": steps, **about, **other}


@pytest.fixture
def answer(page: Page) -> Any:
    """``answer(tab, reply)``: what the route says from now on, in a page that is loaded anew."""

    def told(tab: Tab, reply: dict[str, Any]) -> None:
        def fulfil(route: Route) -> None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(route.request.url).query)
            route.fulfill(**(reply if query == {"run": [RUN]} else {"status": 404}))

        page.route(ROUTE, fulfil)
        tab.reload()
        tab.ready().choose_run(RUN)
        settled(tab)

    return told


@pytest.mark.parametrize(("dark", "width"), [(False, 1400), (True, 800)])
def test_findings_stand_above_the_alerts_and_lead_to_their_cells(
    board: TensorBoard, open_tab: Any, answer: Any, dark: bool, width: int
) -> None:
    planted = meta(board)["nodes"]["name"].index(PLANTED_TENSOR)
    found = [
        finding("nonfinite", "critical", PLANTED_TENSOR, planted),
        finding("norm_jump", "high", follows="nonfinite"),
        finding("saturated", "medium", f"body.{IMAGE}", steps=[20, 300], text=IMAGE),
        finding("plateau", "notice"),
    ]
    tab = open_tab(board.url, dark=dark, width=width, rail="open")
    answer(tab, {"json": {"findings": found, "recorded": True, "revision": 3}})
    items = tab.part("finding")
    items.first.wait_for()
    assert items.count() == 2, "what another explains and notices are folded"
    assert items.first.bounding_box()["y"] < tab.part("alert").first.bounding_box()["y"]
    for word in ("Critical", "What nonfinite says", "steps 130–139", PLANTED_TENSOR):
        assert word in items.first.inner_text()
    assert tab.part("high-count").text_content() == "1 high"
    tab.part("collapse-all").click()
    settled(tab)
    items.first.click()
    settled(tab)
    rect = tab.ask(f"health.rectOf({planted}, {PLANTED_STEP})")
    x, y = cursor(tab)
    assert abs(x - rect["x"]) <= 3
    assert abs(y - rect["y"]) <= 3
    right = tab.part("heatmap").bounding_box()["x"] + rect["x"] + rect["width"]
    assert right <= tab.part("alert-rail").bounding_box()["x"], "the rail does not cover what it leads to"
    tab.part("reasons-toggle").first.click()
    reasons = tab.part("reasons").inner_text()
    order = ["loss 31.2 (reference 2.31)", "the first cause", "the second cause", "the action", "the innocent"]
    assert [reasons.index(words) for words in order] == sorted(reasons.index(words) for words in order)
    tab.part("followers-fold").click()
    tab.part("notices-fold").click()
    assert items.count() == 4
    assert IMAGE in items.nth(2).inner_text()
    assert axe(tab, "alert-rail", "alerts-toggle") == []
    page = "document.documentElement"
    assert tab.ask(f"{page}.scrollWidth <= {page}.clientWidth")
    assert tab.ask("[window.pwned, document.querySelector('main img')]") == [None, None]
    assert tab.problems == []


def test_without_findings_the_rail_says_why(board: TensorBoard, open_tab: Any, answer: Any) -> None:
    nothing = {"findings": [], "recorded": True, "revision": 3}
    for reply, part, words in (
        ({"json": nothing}, "findings-empty", "Nothing found in steps 0–399."),
        ({"status": 404, "body": "<html>not here</html>"}, "findings-none", "Recorded without diagnosis"),
    ):
        tab = open_tab(board.url, rail="open")
        answer(tab, reply)
        tab.part(part).get_by_text(words).first.wait_for()
        assert tab.part("finding").count() == 0
        tab.part("alert").first.wait_for()
        assert tab.problems == []


def test_what_was_found_while_a_run_trained_is_in_its_rail(tensorboard: TensorBoard, open_tab: Any) -> None:
    """From the thread that looked at the rows, through the event file and TensorBoard, to the cell."""
    tab = open_tab(tensorboard.url, rail="open").ready()
    tab.choose_run(RUN)
    settled(tab)
    first = tab.part("finding").first
    first.wait_for()
    told = ("Critical", "NUMERICAL", "not finite 1 (of 8 tensors)", f"steps {PLANTED_STEP}–", PLANTED_TENSOR)
    for words in told:
        assert words in first.inner_text()
    first.click()
    settled(tab)
    rect = tab.ask(f"health.rectOf({meta(tensorboard)['nodes']['name'].index(PLANTED_TENSOR)}, {PLANTED_STEP})")
    assert np.allclose(cursor(tab), (rect["x"], rect["y"]), atol=3)
    tab.part("reasons-toggle").first.click()
    reasons = tab.part("reasons").inner_text()
    assert "torch.autograd.set_detect_anomaly(True)" in reasons
    assert tab.problems == []
