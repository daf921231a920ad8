"""The HTML report in a real browser: nothing is asked for, nothing runs, and it can be read in any light and width."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request

from tb_gradhealth import open_run
from tb_gradhealth.diagnosis import diagnose
from tb_gradhealth.report.page import page
from tests.planted import planted

from .test_accessible import AXE

SCRIPT = "<script>window.pwned=1</script>.weight"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a run in which a tensor has a hostile name, and is at fault; with a hint, which is folded."""
    root = tmp_path_factory.mktemp("report")
    recording = planted().recording
    recording.again(names=(SCRIPT, *recording.names[1:])).write(root / "run" / "gradhealth")
    run, output = open_run(root / "run"), root / "out.html"
    diagnosis = diagnose(run)
    hint = replace(diagnosis.findings[0], severity="notice", rule="hint")
    output.write_text(page(run, replace(diagnosis, findings=(*diagnosis.findings, hint)), SCRIPT), "utf-8")
    return output.as_uri()


class Opened:
    """The report in a page; ``heard`` collects what the console says, ``asked`` what was loaded."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.heard, self.asked = page, list[str](), list[str]()
        page.on("pageerror", lambda error: self.heard.append(str(error)))
        page.on("console", lambda message: self.heard.append(message.text))
        page.on("requestfinished", self._asked)
        page.goto(url)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self.asked.append(request.url)

    def ask(self, question: str) -> Any:
        return self.page.evaluate(question)


def test_it_opens_quietly_and_asks_for_nothing(report: str, browser: Browser) -> None:
    opened = Opened(browser.new_page(), report)
    assert (opened.heard, opened.asked) == ([], [report])
    assert opened.ask("window.pwned") is None
    assert opened.ask("document.scripts.length") == 0
    shown = opened.page.inner_text("body")
    assert f"NUMERICAL in {SCRIPT}" in shown
    assert opened.ask("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    # Were anything to slip through, the policy would not let it run, nor ask for anything.
    opened.ask("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.pwned=1'}))")
    opened.ask("document.body.append(Object.assign(document.createElement('img'), {src: 'https://localhost/x.png'}))")
    opened.page.wait_for_timeout(200)
    assert opened.ask("window.pwned") is None
    assert [said for said in opened.heard if "Content Security Policy" not in said] == []
    assert len(opened.heard) == 2
    assert opened.asked == [report]
    opened.page.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("dark", 390)])
def test_it_fits_every_width_and_light(report: str, browser: Browser, scheme: Any, width: int) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    opened = Opened(context.new_page(), report)
    assert opened.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    channel = opened.ask("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert channel == 255 if scheme == "light" else channel < 60
    # A mark lies around the cells of its finding's steps, 41 to 69 of the 100 that the axis has.
    mark, heat = (opened.page.locator(one).first.bounding_box() for one in (".finding .mark", ".finding .heat"))
    assert mark is not None
    assert heat is not None
    assert (mark["x"] - heat["x"]) / heat["width"] == pytest.approx(0.4, abs=0.01)
    assert mark["width"] / heat["width"] == pytest.approx(0.3, abs=0.02)
    if AXE.exists():
        opened.ask(AXE.read_text())
        found = opened.ask("async () => (await axe.run(document)).violations")
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
    context.close()


def test_folded_parts_are_printed(report: str, browser: Browser) -> None:
    opened = Opened(browser.new_page(), report)
    shown = "document.querySelector('details .brief li').checkVisibility({contentVisibilityAuto: true})"
    assert not opened.ask(shown)
    opened.page.emulate_media(media="print")
    # The page's policy lets nothing in it evaluate text, as Playwright's own waiting does from the second look on.
    end = time.monotonic() + 30
    while not opened.ask(shown):
        assert time.monotonic() < end, "what is folded stays hidden in print"
        opened.page.wait_for_timeout(20)
    assert opened.heard == []
    opened.page.close()
