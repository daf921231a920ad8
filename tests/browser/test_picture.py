"""The README's pictures: the dying run of the demo as the tab shows it, its gradients and its activations.

``GRADHEALTH_PICTURES=docs/images ./dev test tests/browser/test_picture.py`` takes them anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.demo.trained import STEPS, Trained

from .conftest import Tab, TensorBoard
from .test_heatmap import meta, pixels, settled
from .test_streams import turned

RUNS = ("healthy", "dying")


@pytest.fixture(scope="module")
def demo_board(trained: Trained) -> Iterator[TensorBoard]:
    served = TensorBoard(trained.logdir)
    yield served
    served.stop()


def begin_and_end(tab: Tab, board: TensorBoard, run: str, stream: str, name: str) -> list[Any]:
    """Mean colours of a row's first and last step."""
    node = meta(board, f"{run}/gradhealth", stream=stream)["nodes"]["name"].index(name)
    return [pixels(tab, node, step).mean(axis=(0, 1)) for step in (0, STEPS - 1)]


def differ(colours: list[Any]) -> float:
    begin, end = colours
    return float(np.abs(begin - end).max())


def take(tab: Tab, tmp_path: Path, name: str) -> None:
    tab.page.screenshot(path=Path(os.environ.get("GRADHEALTH_PICTURES", tmp_path)) / name)
    assert tab.problems == []


def test_the_projection_visibly_dies(demo_board: TensorBoard, open_tab: Any, tmp_path: Path) -> None:
    tab = open_tab(demo_board.url, whole=True).ready()
    seen = {}
    for run in RUNS:
        tab.choose_run(f"{run}/gradhealth")
        settled(tab)
        tab.part("metric").select_option("near_zero_fraction")
        tab.part("view").select_option("mean")
        settled(tab)
        seen[run] = begin_and_end(tab, demo_board, run, "gradients", "projection.weight")
    assert differ(seen["dying"]) > 60, "the end of the dying row looks unlike its beginning"
    assert differ(seen["healthy"]) < 30
    take(tab, tmp_path, "heatmap.png")


def test_tanh_visibly_comes_to_its_limit(demo_board: TensorBoard, open_tab: Any, tmp_path: Path) -> None:
    tab = open_tab(demo_board.url, width=1100, height=640, whole=True).ready()
    seen = {}
    for run in RUNS:
        tab.choose_run(f"{run}/gradhealth")
        turned(tab, "activations", "limit_fraction")
        seen[run] = begin_and_end(tab, demo_board, run, "activations", "tanh")
    assert differ(seen["dying"]) > 60
    assert differ(seen["healthy"]) < 5
    take(tab, tmp_path, "activations.png")


def test_the_diagnosis_says_what_is_the_matter(demo_board: TensorBoard, open_tab: Any, tmp_path: Path) -> None:
    tab = open_tab(demo_board.url, width=1200, height=700, rail="open", whole=True).ready()
    tab.choose_run("dying/gradhealth")
    settled(tab)
    finding = tab.part("finding").first
    finding.wait_for()
    finding.click()
    tab.part("reasons-toggle").first.click()
    settled(tab)
    assert "SATURATED" in finding.inner_text()
    assert "projection" in finding.inner_text()
    assert "put LayerNorm in front of the layer" in tab.part("reasons").inner_text()
    take(tab, tmp_path, "diagnosis.png")
