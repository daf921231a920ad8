"""What the first picture does without comes after it: unseen, or with a word where it fails to come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route

from .conftest import Tab, TensorBoard

LATE = "**/static/assets/*.js"
PLACE = "JSON.stringify(document.querySelector('[data-testid=heatmap]').getBoundingClientRect())"


@pytest.fixture
def fresh(browser: Browser) -> Iterator[Tab]:
    """Of a browser that has no file of ours yet, with the rail open."""
    page = browser.new_page(viewport={"width": 1400, "height": 900}, device_scale_factor=1)
    page.add_init_script("try { localStorage.setItem('gradhealth.alerts', 'open') } catch {}")
    yield Tab(page)
    page.close()


def test_late_files_move_nothing_and_come_once(board: TensorBoard, fresh: Tab) -> None:
    held: list[Route] = []
    asked: list[str] = []
    holding = True

    def hold(route: Route) -> None:
        if holding:
            held.append(route)
        else:
            route.continue_()

    tab = fresh
    tab.page.route(LATE, hold)
    tab.page.on("request", lambda request: asked.append(request.url.rpartition("/static/")[2]))
    tab.page.goto(f"{board.url}#gradhealth&p.gradhealth.run=planted%2Fgradhealth")
    tab.ready()
    tab.page.wait_for_timeout(800)  # the overview and the alerts have come, and have moved what they move
    before = tab.ask(PLACE)
    assert not tab.part("sparkline").count(), "the late file was held back, and its views are here"
    holding = False
    for route in held:
        route.continue_()
    tab.part("sparkline").first.wait_for()
    tab.part("alerts-close").wait_for()
    assert tab.ask(PLACE) == before
    assert asked.count("index.js") == 1, "a late file has loaded index.js once more"
    assert tab.problems == []


def test_a_late_file_that_fails_is_told_and_comes_when_tried_again(board: TensorBoard, fresh: Tab) -> None:
    tab = fresh
    tab.page.route(LATE, lambda route: route.abort())
    tab.page.goto(f"{board.url}#gradhealth")
    tab.ready()
    problem = tab.part("late-problem")
    problem.wait_for()
    tab.part("help").click()
    tab.page.wait_for_timeout(100)
    assert not tab.part("help-dialog").count()
    tab.page.unroute(LATE)
    problem.locator("button").click()
    tab.part("help-dialog").wait_for()  # what was asked for meanwhile
    assert tab.part("help-close").evaluate("button => button.closest('dialog').contains(document.activeElement)")
    problem.wait_for(state="detached")
    tab.part("help-close").click()
    assert tab.part("help-dialog").is_hidden()
    tab.frame.locator("body").press("?")
    assert tab.part("help-dialog").is_visible()
    assert tab.problems == []
