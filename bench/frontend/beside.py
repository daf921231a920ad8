"""TensorBoard's own tabs over as many tensors, in the same browser: how long until there is something to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..store.board import Board, fast_server
from ..store.figure import Figure, WrongResult
from .browser import PATIENCE, SIZE, Tab
from .cases import Sized

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def ours(browser: Browser, url: str, repeats: int) -> Figure:
    """From the address to the first complete picture: all steps of the rows in view."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        with Tab(browser, url):
            times.append(time.perf_counter() - began)
    return Figure("time to a usable view, Grad Health", float(np.median(times)), "s", note="TensorBoard's page included")
