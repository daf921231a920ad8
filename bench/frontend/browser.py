"""A headless Chromium, and the Grad Health tab in one of its pages, inside TensorBoard or alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..store.figure import WrongResult

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Frame, Page, ViewportSize

#: Chromium as root needs no sandbox; the rest keeps it from talking to hosts that are not there.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
SIZE: ViewportSize = {"width": 1400, "height": 900}
#: Milliseconds that any one thing may take before it counts as broken.
PATIENCE = 30_000
PROBE = Path(__file__).with_name("probe.js").read_text()
#: What the tab takes from the server, in TensorBoard's page or alone.
OURS = ("/data/plugin/gradhealth/", "/data/plugin_entry.html")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises SystemExit that says what to install."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SystemExit(
            "the benchmark drives a browser through playwright, which is not installed: "
            "pip install -r requirements/test.txt"
        ) from None
    found = os.environ.get("GRADHEALTH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise SystemExit(
            f"expected a browser called {' or '.join(NAMES)}, found none: "
            "apt-get install chromium, or set GRADHEALTH_CHROMIUM"
        )
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


class Tab:
    """The tab in a page of its own, with a cold cache; ``alone``: without TensorBoard around it.

    ``faster``: the page's waits of a second and more are shorter by this factor.
    """

    def __init__(
        self, browser: Browser, url: str, parts: dict[str, str] | None = None, *, alone: bool = False, faster: int = 1
    ) -> None:
        self._context = browser.new_context(viewport=SIZE, color_scheme="light", device_scale_factor=1)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self._problems: list[str] = []
        self.page.on("pageerror", lambda error: self._problems.append(str(error)))
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.add_init_script(PROBE)
        # As somebody left it; otherwise it may open by itself and narrow the heatmap.
        self.page.add_init_script("try { localStorage.setItem('gradhealth.alerts', 'closed') } catch {}")
        if faster > 1:
            self.page.add_init_script(
                "{ const real = window.setTimeout; window.setTimeout = (what, ms, ...more) =>"
                f" real(what, ms >= 1000 ? ms / {faster} : ms, ...more) }}"
            )
        self.devtools: CDPSession = self._context.new_cdp_session(self.page)
        self.devtools.send("Performance.enable")
        self.traffic = Traffic(self.devtools)
        path = "data/plugin_entry.html?name=gradhealth" if alone else ""
        # Told by the page itself: to look for it from here takes the page 40 ms.
        with self.page.expect_console_message(lambda message: message.text == "first picture"):
            self.page.goto(f"{url}{path}{fragment(parts or {})}", wait_until="commit")
        self.frame: Frame = self._await_frame(alone)

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, kind: type[BaseException] | None, *more: object) -> None:
        self._context.close()
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raises WrongResult if the page has had an error."""
        if self._problems:
            raise WrongResult(f"the page has {len(self._problems)} errors, the first: {self._problems[0]}")

    def ask(self, expression: str, given: Any = None) -> Any:
        """The value of a JavaScript expression in the tab: ``probe``, ``health`` and ``given`` are known to it."""
        known = "const [probe, health] = [window.tabProbe, window.gradHealth];"
        return self.frame.evaluate(f"async (given) => {{ {known} return {expression}; }}", given)

    def wait(self, condition: str, given: Any = None) -> None:
        known = "const [probe, health] = [window.tabProbe, window.gradHealth];"
        self.frame.wait_for_function(f"(given) => {{ {known} return {condition}; }}", arg=given)

    def rest(self) -> None:
        """Until all tiles in view are drawn, and what loads behind them has had its time."""
        self.wait("health.state().complete")
        self.page.wait_for_timeout(1000)

    def metric(self, name: str) -> float:
        """One of Chromium's own counters: seconds, bytes or numbers since the page began."""
        found = self.devtools.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in found if one["name"] == name))

    def heap(self) -> float:
        """Bytes of live JavaScript objects, without what array buffers hold."""
        self.devtools.send("HeapProfiler.collectGarbage")
        return float(self.devtools.send("Runtime.getHeapUsage")["usedSize"])

    def go(self, parts: dict[str, str]) -> None:
        """Follows a link to another state of the tab, as from the address bar."""
        self.page.evaluate("hash => { location.hash = hash }", fragment(parts))

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self._problems.append(text)

    def _await_frame(self, alone: bool) -> Frame:
        if alone:
            return self.page.main_frame
        element = self.page.wait_for_selector("iframe", state="attached")
        frame = None if element is None else element.content_frame()
        if frame is None:
            raise WrongResult("TensorBoard has no frame for the tab")
        return frame


def fragment(parts: dict[str, str]) -> str:
    """Parts of the tab's state as the fragment of a URL."""
    from urllib.parse import quote

    known = {"v": "1", **parts} if parts else {}
    return "#" + "&".join(
        ["gradhealth", *(f"p.gradhealth.{key}={quote(text, safe='')}" for key, text in known.items())]
    )


class Traffic:
    """Bytes on the wire, headers included, by address; from when it was made."""

    def __init__(self, devtools: CDPSession) -> None:
        self._address: dict[str, str] = {}
        self.bytes: dict[str, float] = {}
        devtools.on("Network.requestWillBeSent", self._asked)
        devtools.on("Network.loadingFinished", self._loaded)
        devtools.send("Network.enable")

    def ours(self) -> dict[str, float]:
        """Of the tab, by what was asked for: ``static`` or a route."""
        found: dict[str, float] = {}
        for address, size in self.bytes.items():
            if any(part in address for part in OURS):
                route = address.split("?")[0].partition("/data/plugin/gradhealth/")[2].split("/")[0] or "static"
                found[route] = found.get(route, 0) + size
        return found

    def _asked(self, event: dict[str, Any]) -> None:
        self._address[event["requestId"]] = event["request"]["url"]

    def _loaded(self, event: dict[str, Any]) -> None:
        address = self._address.get(event["requestId"], "")
        self.bytes[address] = self.bytes.get(address, 0) + event["encodedDataLength"]
