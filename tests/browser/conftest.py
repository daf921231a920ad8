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
from playwright.sync_api import Browser, Page, sync_playwright
from tensorboard.summary import Writer

from tb_gradhealth import GradHealthWriter
from tests.writer.loops import Net, losses

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

PLANTED_STEP, PLANTED_TENSOR = 137, "body.2.weight"
STEPS, EVERY = 400, 10


def chromium() -> str:
    """The browser's path. Raises RuntimeError that says what to install."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("GRADHEALTH_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise RuntimeError(
            f"expected a browser called {' or '.join(names)}, found none: "
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


@pytest.fixture(scope="session", params=["rust", "python"])
def tensorboard(request: pytest.FixtureRequest, logdir: Path) -> Iterator[TensorBoard]:
    """Both of TensorBoard's ways of reading event files."""
    served = TensorBoard(logdir, f"--load_fast={'true' if request.param == 'rust' else 'false'}")
    yield served
    served.stop()


@pytest.fixture(scope="session")
def board(logdir: Path) -> Iterator[TensorBoard]:
    """For what does not depend on how TensorBoard reads."""
    served = TensorBoard(logdir, "--load_fast=true")
    yield served
    served.stop()


class Tab:
    """The Grad Health tab in a page; ``problems`` collects errors of page and console."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.problems = page, list[str]()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.goto(f"{url}#gradhealth")
        self.frame = page.frame_locator("iframe").first

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.problems.append(text)

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


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Any]:
    """``open_tab(url, dark=…, width=…, height=…, rail=…)`` → a Tab; closed at the end of the test."""
    pages: list[Page] = []

    def opened(
        url: str, *, dark: bool = False, width: int = 1400, height: int = 900, rail: str | None = "closed"
    ) -> Tab:
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", device_scale_factor=1
        )
        if rail is not None:  # as somebody left it; otherwise it may open by itself and move what a test points at
            page.add_init_script(f"try {{ localStorage.setItem('gradhealth.alerts', '{rail}') }} catch {{}}")
        pages.append(page)
        return Tab(page, url)

    yield opened
    for page in pages:
        page.close()
