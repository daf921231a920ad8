"""One run among thousands: TensorBoard's list of runs is made longer on its way to the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Route

from tests.synthetic import Recording, recorded

from .conftest import Tab, TensorBoard
from .test_heatmap import settled

RUNS = 5_000
OTHER = {"status": "none", "problem": None, "revision": 0}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    logdir = tmp_path_factory.mktemp("one")
    Recording(recorded(60)).write(logdir / "one" / "gradhealth")
    served = TensorBoard(logdir)
    yield served
    served.stop()


def crowded(tab: Tab) -> dict[str, bool]:
    """Adds runs to what TensorBoard lists; setting ``gone`` takes away the one that is real."""
    state = {"gone": False}

    def answer(route: Route) -> None:
        real = route.fetch().json()["runs"]
        many = [{"name": f"sweep/lr={i}/seed", "label": f"sweep/lr={i}/seed", **OTHER} for i in range(RUNS)]
        bad = {"name": "bad", "label": "bad", **OTHER, "status": "unreadable", "problem": "The schema is of version 9."}
        route.fulfill(body=json.dumps({"runs": [*([] if state["gone"] else real), bad, *many]}))

    tab.page.route("**/data/plugin/gradhealth/runs*", answer)
    return state


def test_a_run_is_found_among_thousands(board: TensorBoard, open_tab: Any) -> None:
    tab = open_tab(board.url).ready()
    state = crowded(tab)
    picker, options = tab.part("run-picker"), tab.part("run-option")
    picker.click()
    tab.part("run-count").get_by_text(f"{RUNS + 2:,} runs").wait_for(timeout=20_000)
    assert options.count() < 40, "only those in view are in the page"
    tab.page.keyboard.press("ArrowUp")
    tab.page.keyboard.press("ArrowDown")
    assert "The schema is of version 9." in options.nth(1).inner_text()
    picker.fill("SEED lr=4321")
    assert options.evaluate_all("all => all.map(one => one.dataset.run)") == ["sweep/lr=4321/seed"]
    tab.page.keyboard.press("Escape")
    assert picker.input_value() == "one"
    tab.choose_run("one/gradhealth")
    settled(tab)

    state["gone"] = True
    picker.and_(tab.frame.locator("[data-run='one/gradhealth']")).wait_for()
    tab.part("message").get_by_text("This run is gone").wait_for(timeout=20_000)
    assert picker.input_value() == "one/gradhealth (gone)"
    tab.choose_run("bad")
    tab.part("message").get_by_text("The schema is of version 9.").wait_for()
    assert tab.problems == []
