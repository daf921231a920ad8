"""A real TensorBoard over real event files, and a real Chromium to look at it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright
from tensorboard.summary import Writer

from bench.frontend.browser import FLAGS, NAMES
from tb_gradhealth import GradHealthWriter
from tests.plugin import noted
from tests.synthetic import recorded
from tests.writer.loops import Net, losses

PLANTED_STEP, PLANTED_TENSOR = 137, "body.2.weight"
STEPS, EVERY = 400, 10
#: What the tab finds in TensorBoard's page: where its frame is, and how it tells the theme.
AROUND = """<!doctype html><title>TensorBoard</title><body class="{theme}">
<style>
  body {{ margin: 0 }}
  iframe {{ border: 0; position: fixed; top: 64px; width: 100%; height: calc(100% - 64px) }}
</style>
<iframe src="/data/plugin_entry.html?name=gradhealth"></iframe>"""


def chromium() -> str:
    """The browser's path. Raises RuntimeError that says what to install."""
    found = os.environ.get("GRADHEALTH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise RuntimeError(
            f"expected a browser called {' or '.join(NAMES)}, found none: "
            "apt-get install chromium, or set GRADHEALTH_CHROMIUM"
        )
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``planted`` has one NaN at a known step and tensor; ``broken`` is damaged, ``plain`` has no data of ours."""
    directory = tmp_path_factory.mktemp("runs")
    model = Net()
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with GradHealthWriter(optimizer, model, logdir=directory / "planted", every=EVERY):
        tensor = dict(model.named_parameters())[PLANTED_TENSOR]
        for step, _ in enumerate(losses(model, STEPS)):
            assert tensor.grad is not None
            if step != PLANTED_STEP:
                optimizer.step()
                continue
            # Measured, then taken back, so that one step alone is bad.
            kept = [parameter.detach().clone() for parameter in model.parameters()]
            state = optimizer.state_dict()
            state = {**state, "state": {k: {n: v.clone() for n, v in s.items()} for k, s in state["state"].items()}}
            tensor.grad[3, 2] = float("nan")
            optimizer.step()
            optimizer.load_state_dict(state)
            for parameter, value in zip(model.parameters(), kept, strict=True):
                parameter.data.copy_(value)
    whole = next((directory / "planted" / "gradhealth").glob("*tfevents*"))
    (directory / "broken" / "gradhealth").mkdir(parents=True)
    data = bytearray(whole.read_bytes())
    at = 0
    while at < len(data) // 3:  # records of length, its checksum, data and their checksum
        at += 16 + int.from_bytes(data[at : at + 8], "little")
    data[at] ^= 0xFF  # who cannot tell how long a record is finds none behind it
    (directory / "broken" / "gradhealth" / whole.name).write_bytes(bytes(data))
    plain = Writer(str(directory / "plain"))
    plain.add_scalar("loss", 1.0, step=0)
    plain.close()
    return directory


class TensorBoard:
    """A TensorBoard process on a free port."""

    def __init__(self, logdir: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0", *options]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.url = self._await_url()

    def _await_url(self) -> str:
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            found = re.search(r"http://\S+", line)
            if found:
                return found.group()
        raise RuntimeError("TensorBoard ended before it served: " + "".join(said))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        if self._process.stderr is not None:
            self._process.stderr.close()


@pytest.fixture(scope="session")
def board(logdir: Path) -> Iterator[TensorBoard]:
    """For what does not depend on how TensorBoard reads."""
    served = TensorBoard(logdir, "--load_fast=true")
    yield served
    served.stop()


@pytest.fixture(scope="session")
def slow_board(logdir: Path) -> Iterator[TensorBoard]:
    served = TensorBoard(logdir, "--load_fast=false")
    yield served
    served.stop()


@pytest.fixture(params=["rust", "python"])
def tensorboard(request: pytest.FixtureRequest) -> TensorBoard:
    """Both of TensorBoard's ways of reading event files."""
    served: TensorBoard = request.getfixturevalue("board" if request.param == "rust" else "slow_board")
    return served


@pytest.fixture(scope="session")
def empty_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """Over a log directory without anything in it."""
    served = TensorBoard(tmp_path_factory.mktemp("empty"))
    yield served
    served.stop()


@pytest.fixture(scope="session")
def noted_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """``noted`` has everything that can happen at a step, ``quiet`` nothing."""
    logdir = tmp_path_factory.mktemp("noted")
    noted.write(logdir / "noted")
    noted.Noted(recorded(60)).write(logdir / "quiet" / "gradhealth")
    served = TensorBoard(logdir)
    yield served
    served.stop()


class Tab:
    """The Grad Health tab in a page that is going to show it; ``problems`` collects errors of page and console."""

    def __init__(self, page: Page) -> None:
        self.page, self.problems = page, list[str]()
        page.on("pageerror", self._failed)
        page.on("console", self._heard)
        self.frame = page.frame_locator("iframe").first

    def _failed(self, error: Error) -> None:
        self.problems.append(str(error))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def leave(self) -> None:
        """The page is going to show something else."""
        self.page.remove_listener("pageerror", self._failed)
        self.page.remove_listener("console", self._heard)

    def reload(self) -> None:
        """The tab alone, not the page around it."""
        with self.page.expect_event("framenavigated"):
            self.page.evaluate("document.querySelector('iframe').contentWindow.location.reload()")

    def part(self, name: str) -> Any:
        return self.frame.locator(f"[data-testid={name}]")

    def choose_run(self, name: str, picker: str = "run-picker") -> None:
        """Chooses the run of that name as a person does: by typing what its label is, and a click."""
        self.part(picker).fill(name.removesuffix("/gradhealth"))
        escaped = "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in name)
        self.frame.locator(f"[data-testid=run-option][data-run='{escaped}']").click()

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression inside the tab; ``health`` is ``window.gradHealth``."""
        return self.part("heatmap").evaluate(f"() => {{ const health = window.gradHealth; return {expression}; }}")

    def ready(self) -> Tab:
        self.part("heatmap").wait_for(timeout=30_000)
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('iframe')].some(f => f.contentWindow.gradHealth?.ready)",
            timeout=30_000,
        )
        return self


@pytest.fixture(scope="session")
def page(browser: Browser) -> Iterator[Page]:
    """One for all tests: where TensorBoard was loaded before, it loads in less than half the time."""
    opened = browser.new_page(device_scale_factor=1)
    yield opened
    opened.close()


@pytest.fixture
def open_tab(page: Page) -> Iterator[Any]:
    """``open_tab(url, dark=…, width=…, height=…, rail=…)`` → a Tab as a new browser shows it, in place of the last.

    It is in TensorBoard's page where ``whole`` is given, and otherwise in one that has TensorBoard's frame for it and
    nothing else, which loads three times as fast.
    """
    tabs: list[Tab] = []
    protocol = page.context.new_cdp_session(page)

    def left() -> None:
        while tabs:
            tabs.pop().leave()
        page.unroute_all(behavior="ignoreErrors")
        page.context.clear_permissions()
        page.mouse.move(0, 0)

    def opened(
        url: str,
        *,
        dark: bool = False,
        width: int = 1400,
        height: int = 900,
        rail: str | None = "closed",
        whole: bool = False,
    ) -> Tab:
        left()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.goto(f"{url}data/environment")  # of the same origin, with no script of its own
        page.evaluate("localStorage.clear(), sessionStorage.clear()")
        if rail is not None:  # as somebody left it; otherwise it may open by itself and move what a test points at
            page.evaluate("rail => localStorage.setItem('gradhealth.alerts', rail)", rail)
        protocol.send("Page.resetNavigationHistory")
        tabs.append(Tab(page))
        if whole:
            page.goto(f"{url}#gradhealth")
        else:
            page.set_content(AROUND.format(theme="dark-mode" if dark else ""))
        return tabs[0]

    yield opened
    left()
    protocol.detach()
    page.goto("about:blank")
